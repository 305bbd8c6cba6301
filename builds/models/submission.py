"""Requests that module builds were submitted with."""

from __future__ import annotations

from django.db import models

from builds.models.module import ModuleBuild


class Submission(models.Model):
    """The request that a module build was submitted with, kept so that it can be repeated.

    A separate table keeps it out of the rows that lists of builds read.
    """

    module_build = models.OneToOneField(
        ModuleBuild, on_delete=models.CASCADE, primary_key=True, related_name="submission"
    )
    #: Fields of a ``SubmissionRequest``, without its owner and without a document.
    request = models.JSONField(default=dict)
    #: the document as its author wrote it; empty where the build is older than this column
    document = models.TextField(blank=True, default="", db_default="")

    def __str__(self) -> str:
        return f"of module build {self.module_build_id}"
