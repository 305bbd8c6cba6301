"""The commits between two commits of a repository, read from git for comparisons of builds."""

from __future__ import annotations

from hashlib import sha256

from django.db import models
from django.utils import timezone


class CommitRange(models.Model):
    """Subjects of the commits after one commit up to another, as ``builds.services.commits`` read them.

    The row is written before git is asked, so that git is not asked again for a range that cannot be read.
    """

    #: hash of repository, old and new commit
    key = models.CharField(max_length=64, unique=True)
    #: pairs of commit and subject, the newest first; null: not read
    subjects = models.JSONField(null=True)
    #: whether there are more commits
    more = models.BooleanField(default=False)
    read_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.key

    @staticmethod
    def key_of(repository: str, old: str, new: str) -> str:
        """Return the key of a range."""
        return sha256("\0".join((repository, old, new)).encode()).hexdigest()
