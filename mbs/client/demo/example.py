"""The example module, and git repositories made from its source trees."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mbs.client.demo.repositories import Commit, commit_tree
from mbs.client.up.services import HOME
from mbs.errors import NotFound
from mbs.modulemd import dump, parse_stream

#: Exists in a checkout only, not in an installed package.
EXAMPLES = HOME / "examples"
#: The base module of the example.
PLATFORM = EXAMPLES / "modules" / "platform.yaml"
NAME = "greetings"
RPM_BRANCH = "main"


@dataclass(frozen=True)
class Example:
    """The commit and branch to submit."""

    commit: Commit
    branch: str


def document_path() -> Path:
    """Return the path of the modulemd file.

    Raises:
        NotFound: There are no examples.
    """
    path = EXAMPLES / "modules" / NAME / f"{NAME}.yaml"
    if not path.is_file():
        raise NotFound(
            f"The example {path} does not exist.",
            code="no_examples",
            hint="Run this command in a checkout of the service, which contains the examples.",
        )
    return path


def make_repositories(target: Path) -> Example:
    """Create or update git repositories for the module and its components.

    The module gets a new commit, and so a new version, each time; components only if they changed.

    Args:
        target: Folder of the repositories.

    Raises:
        NotFound: There are no examples.
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
