"""The characters that names may hold which come from strangers: one definition for every entrance.

They become parts of Koji tags, RPM releases, folders, addresses, command lines and macros. Each rule is what
all of those take as plain text; ``mbs.modulemd.naming`` and submissions apply them to what is built or
recorded. A document that is only read may hold anything.

Sources: rpm's ``ALLOWED_CHARS_NAME``, Koji's rule for names of tags, ``git check-ref-format``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Characters of a text that a message repeats.
_SHOWN = 80


@dataclass(frozen=True)
class Rule:
    """What one kind of name may hold.

    Attributes:
        noun: The kind, for messages: "The {noun} 'x' ...".
        pattern: Of the whole name.
        longest: Characters that it may have.
        allowed: The pattern in words.
    """

    noun: str
    pattern: re.Pattern[str]
    longest: int
    allowed: str

    def fits(self, text: object) -> bool:
        """Return whether ``text`` is such a name."""
        return (
            isinstance(text, str)
            and len(text) <= self.longest
            and self.pattern.fullmatch(text) is not None
            and ".." not in text
        )

    def fault(self, text: object) -> str:
        """Say what is wrong with a name; an empty text when nothing is."""
        if self.fits(text):
            return ""
        if not isinstance(text, str):
            return f"The {self.noun} must be text."
        shown = repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
        if not text:
            return f"The {self.noun} is empty."
        if len(text) > self.longest:
            return f"The {self.noun} {shown} has more than {self.longest} characters."
        return f"The {self.noun} {shown} is not allowed."

    @property
    def hint(self) -> str:
        """Say what such a name may hold."""
        return f"Use up to {self.longest} of {self.allowed}."


_PLAIN = "letters, digits, '_', '.', '+' and '-', beginning with a letter, a digit or '_', without '..'"


def _rule(noun: str, pattern: str, longest: int, allowed: str = _PLAIN) -> Rule:
    return Rule(noun, re.compile(pattern), longest, allowed)


#: Of modules, profiles, components and packages.
NAME = _rule("name", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", 128)
#: With a name of 128 characters, a version and a context it makes a file name that every file system takes.
STREAM = _rule("stream", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", 64)
CONTEXT = _rule("context", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", 32)
ARCH = _rule("architecture", r"[A-Za-z0-9][A-Za-z0-9_]*", 32, "letters, digits and '_'")
#: Part of the release of RPMs, which holds no dash.
MARKING = _rule("marking", r"[A-Za-z0-9_][A-Za-z0-9_.+]*", 64, "letters, digits, '_', '.' and '+'")
#: Of tags in Koji; ``-build`` is appended to those of modules.
KOJI_TAG = _rule("Koji tag", r"[A-Za-z0-9_][A-Za-z0-9/_.+-]*", 250, "letters, digits and any of /_.+-")
#: An RPM by name or NEVRA.
RPM = _rule("RPM", r"[A-Za-z0-9_][A-Za-z0-9_.+~^:-]*", 255, "letters, digits and any of _.+~^:-")
COMMIT = _rule("commit", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", 64)
_REF = _rule(
    "ref",
    r"[A-Za-z0-9_][A-Za-z0-9_./+@=,-]*",
    255,
    "letters, digits and any of _./+@=,- as git allows them",
)


class _RefRule(Rule):
    """git's rule, without patterns, revision arithmetic, and what a shell, rpm or a header acts on."""

    def fits(self, text: object) -> bool:
        return (
            super().fits(text)
            and isinstance(text, str)
            and not any(bad in text for bad in ("//", "/.", "@{", ".lock/"))
            and not text.endswith(("/", ".", ".lock"))
        )


#: A branch, a tag or a commit.
REF = _RefRule(_REF.noun, _REF.pattern, _REF.longest, _REF.allowed)


def is_version(text: object) -> bool:
    """Return whether ``text`` is the version of a module: a 64-bit unsigned number in decimal digits."""
    return (
        isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**64
    )
