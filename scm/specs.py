"""What a spec file says, without letting rpm (and so the spec file) run anything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceFile:
    """A source or a patch of a spec file.

    :param tag: ``Source0``, ``Patch12`` ...
    :param value: as the spec file says it, macros expanded as far as they are known: a name or a url.
    :param conditional: stands inside an ``%if``, so that it may not count where it is built.
    """

    tag: str
    value: str
    conditional: bool = False

    @property
    def name(self) -> str:
        """The file's name: what follows the last slash, as rpm takes it."""
        return self.value.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Spec:
    """The preamble of a spec file, macros expanded as far as they are known.

    :param packages: names of the binary packages it declares, its own first.
    :param buildrequires: one requirement each: ``name``, ``name >= version`` or a rich one in parentheses.
    """

    name: str
    version: str
    release: str
    epoch: str = ""
    sources: tuple[SourceFile, ...] = ()
    patches: tuple[SourceFile, ...] = ()
    buildrequires: tuple[str, ...] = ()
    buildarches: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
