"""Final modulemd documents of finished builds."""

from __future__ import annotations

from django.db import models

from builds.models.module import ModuleBuild


class FinalModulemd(models.Model):
    """A document that a finished module is shipped with: one for each architecture, and one for ``src``.

    A separate table keeps the large texts out of the rows that lists of builds read.
    """

    module_build = models.ForeignKey(ModuleBuild, on_delete=models.CASCADE, related_name="final_modulemds")
    arch = models.CharField(max_length=64)
    document = models.TextField()
    #: NEVRA of an RPM in the document -> bytes; None if the build system does not tell sizes, or did not.
    sizes = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["module_build", "arch"], name="one_document_per_arch")]

    def __str__(self) -> str:
        return f"{self.arch} of module build {self.module_build_id}"
