"""Read ``requirements/*.in`` and the locked sets beside them, without the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parents[2] / "requirements"
LOCKED = ("build", "base", "prod", "dev")


@dataclass(frozen=True)
class Pin:
    """A package of a locked set.

    Attributes:
        requirement: The line without its hashes.
        hashes: Number of files that may be installed.
        named_in: Input files that name it; empty if only other packages need it.
    """

    requirement: Requirement
    hashes: int
    named_in: frozenset[str]


def inputs(name: str, folder: Path = FOLDER) -> Iterator[tuple[str, Requirement]]:
    """Yield input file and requirement for each line of an input and of the inputs that it includes."""
    for line in (folder / f"{name}.in").read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from inputs(text.removeprefix("-r ").strip().removesuffix(".in"), folder)
        elif text:
            yield f"{name}.in", Requirement(text)


def locked(name: str, folder: Path = FOLDER) -> dict[str, Pin]:
    """Return the locked set: canonical name of a package -> its pin."""
    text = (folder / f"{name}.txt").read_text()
    pins = {}
    for entry in re.findall(r"^[A-Za-z0-9].*\n(?:[ #].*\n)*", text, re.M):
        requirement = Requirement(entry.partition("\\\n")[0])
        named_in = frozenset(re.findall(r"-r requirements/(\w+\.in)$", entry, re.M))
        pins[canonicalize_name(requirement.name)] = Pin(requirement, entry.count("--hash=sha256:"), named_in)
    return pins


def differences(name: str, folder: Path = FOLDER) -> list[str]:
    """Return the differences between an input and its locked set."""
    pins = locked(name, folder)
    named = {(canonicalize_name(each.name), file): each for file, each in inputs(name, folder)}
    faults = []
    for (package, file), requirement in named.items():
        pin = pins.get(package)
        if pin is None or file not in pin.named_in:
            faults.append(f"{name}.txt lacks {requirement} of {file}")
        elif not all(requirement.specifier.contains(each.version) for each in pin.requirement.specifier):
            faults.append(f"{name}.txt has {pin.requirement}, {file} says {requirement}")
    for package, pin in pins.items():
        faults += [
            f"{file} has no {package} any more" for file in pin.named_in if (package, file) not in named
        ]
    return sorted(faults)
