"""URLs of style sheets, scripts and images."""

from __future__ import annotations

from django.contrib.staticfiles.storage import StaticFilesStorage

from builds.api import links


class Storage(StaticFilesStorage):
    """Storage whose URLs begin with the path under which the service is served."""

    def url(self, name: str | None) -> str:
        """Return the URL path of a file."""
        return f"{links.prefix()}{super().url(name)}"
