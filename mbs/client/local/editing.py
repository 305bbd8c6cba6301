"""Change single values of a modulemd text, and keep the other ones as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from mbs.errors import InvalidInput

#: With ``--skiptests``, rpm runs this before every %check section.
SKIP_CHECKS = "%__spec_check_pre exit 0"


@dataclass(frozen=True)
class Changes:
    """Changes of a document.

    Attributes:
        stream: Stream of the module; empty for no change.
        skip_checks: Skip the %check sections, by a macro of ``buildopts``.
        sources: Component -> repository and commit to build it from.
    """

    stream: str = ""
    skip_checks: bool = False
    sources: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def edit(text: str, changes: Changes) -> str:
    """Return the document with these changes, or the same text if there are none.

    Args:
        text: A valid modulemd document (``mbs.modulemd``), which bounds its size and depth.
        changes: The changes.

    Raises:
        InvalidInput: ``unknown_component``: the document has no such component.
    """
    if changes == Changes():
        return text
    documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    for document in documents:
        data = _child(document, "data")
        if changes.stream:
            _set(data, "stream", _scalar(changes.stream))
        if changes.skip_checks:
            rpms = _child(_child(data, "buildopts"), "rpms")
            own = _value(rpms, "macros")
            lines = own.value.rstrip("\n") if isinstance(own, yaml.ScalarNode) else ""
            _set(rpms, "macros", _scalar(f"{lines}\n{SKIP_CHECKS}\n".lstrip("\n"), "|"))
        for name, (repository, commit) in changes.sources.items():
            component = _value(_child(_child(data, "components"), "rpms"), name)
            if not isinstance(component, yaml.MappingNode):
                raise InvalidInput(
                    f"The module has no component {name[:100]!r}, so its source cannot be chosen.",
                    code="unknown_component",
                    hint="Name a component of the modulemd file, as in --srpm PACKAGE=FILE.",
                )
            _set(component, "repository", _scalar(repository))
            _set(component, "ref", _scalar(commit))
    return yaml.serialize_all(documents, Dumper=yaml.SafeDumper, allow_unicode=True, explicit_start=True)


def _scalar(text: str, style: str = "'") -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=style)


def _value(node: yaml.Node, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _child(node: yaml.Node, key: str) -> yaml.MappingNode:
    """Return the mapping of a key, which is added if it is missing."""
    found = _value(node, key)
    if not isinstance(found, yaml.MappingNode):
        found = yaml.MappingNode("tag:yaml.org,2002:map", [], flow_style=False)
        _set(node, key, found)
    return found


def _set(node: yaml.Node, key: str, value: yaml.Node) -> None:
    node.value = [(name, old) for name, old in node.value if name.value != key]
    node.value.append((_scalar(key, ""), value))
