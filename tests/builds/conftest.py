"""Real git repositories, and a service that accepts submissions from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builds.models import (
    ComponentBuild,
    ModuleBuild,
    ModuleBuildTrace,
    OutboxMessage,
    Submission,
)
from builds.services.build_system import build_system
from builds.services.submission import SubmissionRequest, submit
from mbs.errors import MBSError
from tests.factories import base_module
from tests.gitrepos import commit, git, make_repo, package_files, url

DOCUMENT = """document: modulemd
version: 2
data:
  summary: A module
  description: A module of a test.
  license:
    module: [MIT]
  dependencies:
  - buildrequires: {{platform: {platforms}}}
    requires: {{platform: {platforms}}}
  components:
    rpms:
{components}
"""


def document(components: Mapping[str, str], platforms: str = "[f40]", more: str = "") -> str:
    """Return a modulemd document.

    Args:
        components: Name -> its other keys in flow style, such as ``buildorder: 1``.
        more: Lines to append.
    """
    lines = [
        f"      {name}: {{rationale: needed{', ' if keys else ''}{keys}}}"
        for name, keys in components.items()
    ]
    return DOCUMENT.format(platforms=platforms, components="\n".join(lines)) + more


@dataclass
class Forge:
    """Git repositories of modules and packages below one folder."""

    folder: Path

    def package(self, name: str, **more: str | bytes) -> str:
        """Make the dist-git repository of a package; return its commit."""
        files = package_files(name, **more)
        return make_repo(self.folder / "rpms" / name, {"README": "", **files}, branch="main")

    def module(self, name: str, text: str, *, branch: str = "1") -> str:
        """Commit a module's document; return the scm url of that commit."""
        folder = self.folder / "modules" / name
        files = {f"{name}.yaml": text}
        if folder.exists():
            revision = commit(folder, files, when="2020-02-02T02:02:02Z")
        else:
            revision = make_repo(folder, files, branch=branch)
        return f"{url(folder)}?#{revision}"

    def head(self, package: str) -> str:
        """Return the newest commit of a package."""
        return git(self.folder / "rpms" / package, "rev-parse", "HEAD")

    def change(self, package: str) -> str:
        """Commit a change to a package; return the commit."""
        return commit(self.folder / "rpms" / package, {"change": "1"}, when="2021-01-01T00:00:00Z")


@pytest.fixture
def option(settings: Any) -> Callable[..., None]:
    """Change options of the service: ``option(NO_AUTH=False)``."""

    def change(**values: Any) -> None:
        settings.MBS = settings.MBS.model_copy(update=values)

    return change


@pytest.fixture
def forge(db: None, tmp_path: Path, option: Callable[..., None]) -> Forge:
    """Packages ``alpha`` and ``beta``, and a base module ``platform:f40``."""
    build_system.cache_clear()
    forge = Forge(tmp_path / "git")
    forge.package("alpha")
    forge.package("beta")
    option(
        SCMURLS=(url(forge.folder / "modules") + "/",),
        RPMS_DEFAULT_REPOSITORY=url(forge.folder / "rpms") + "/",
        MODULES_DEFAULT_REPOSITORY=url(forge.folder / "modules") + "/",
        DEFAULT_BRANCH="main",
    )
    base_module("f40", stream_version=400000.0)
    return forge


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of builds for which the workflow was started."""
    numbers: list[int] = []
    monkeypatch.setattr("builds.dispatch.advance", numbers.append)
    return numbers


def submitted(**values: Any) -> list[ModuleBuild]:
    """Submit as anna and from branch 1, unless the values differ."""
    values = {"owner": "anna", **({} if "modulemd" in values else {"branch": "1"}), **values}
    return submit(SubmissionRequest(**values))


def everything() -> list[int]:
    """Return the number of rows in each table that a submission writes to."""
    tables = (ModuleBuild, ComponentBuild, ModuleBuildTrace, OutboxMessage, Submission)
    return [table.objects.count() for table in tables]


def refused(**values: Any) -> MBSError:
    """Return the error with which a submission is refused; check that it recorded nothing."""
    before = everything()
    with pytest.raises(MBSError) as caught:
        submitted(**values)
    assert everything() == before
    return caught.value
