"""The example module: its source trees, made into git repositories that the service builds from."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mbs.client.demo.repositories import Commit, commit_tree
from mbs.client.up.services import HOME
from mbs.errors import NotFound
from mbs.modulemd import dump, parse_stream

#: In a checkout; an installed package has none.
EXAMPLES = HOME / "examples"
#: The base module that it is built on.
PLATFORM = EXAMPLES / "modules" / "platform.yaml"
NAME = "greetings"
RPM_BRANCH = "main"


@dataclass(frozen=True)
class Example:
    """The module as it is to be submitted."""

    commit: Commit
    branch: str


def document_path() -> Path:
    """The module's document.

    Raises:
        NotFound: When the examples are not there.
    """
    path = EXAMPLES / "modules" / NAME / f"{NAME}.yaml"
    if not path.is_file():
        raise NotFound(
            f"The example {path} is not there.",
            code="no_examples",
            hint="The examples come with the source of the service: run this in a checkout.",
        )
    return path


def make_repositories(target: Path) -> Example:
    """Make or renew a repository for the module and one for each of its components.

    The module gets a new commit, hence a new version, each time; a component only when it changed.

    Args:
        target: Folder of the repositories.

    Raises:
        NotFound: When the examples are not there.
    """
    path = document_path()
    document = parse_stream(path.read_text(), strict=True, name=NAME)
    for component in document.rpm_components.values():
        repository = target / "rpms" / component.name
        commit_tree(EXAMPLES / "rpms" / component.name, repository, RPM_BRANCH, always=False)
        component.repository = repository.as_uri()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).write_text(dump(document))
        commit = commit_tree(Path(folder), target / "modules" / NAME, document.stream, always=True)
    return Example(commit, document.stream)
