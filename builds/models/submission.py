from __future__ import annotations

from django.db import models

from builds.models.module import ModuleBuild


class Submission(models.Model):
    """What was asked for when a module build was submitted, so that it can be asked for once more.

    In a table of its own, so that no list of builds has to pass over it.
    """

    module_build = models.OneToOneField(
        ModuleBuild, on_delete=models.CASCADE, primary_key=True, related_name="submission"
    )
    #: keys and values of a ``SubmissionRequest``, without its owner and without a document
    request = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"of module build {self.module_build_id}"
