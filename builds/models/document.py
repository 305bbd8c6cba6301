from __future__ import annotations

from django.db import models

from builds.models.module import ModuleBuild


class FinalModulemd(models.Model):
    """What a finished module is shipped with: a document for each architecture, and one for the sources.

    In a table of its own, so that no list of builds has to pass over it.
    """

    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="final_modulemds")
    arch = models.CharField(max_length=64)
    document = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["module_build", "arch"], name="one_document_per_arch")]

    def __str__(self) -> str:
        return f"{self.arch} of module build {self.module_build_id}"
