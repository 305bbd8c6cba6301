"""Define which characters names from users may have.

The names become parts of Koji tags, RPM releases, folders, URLs, command lines and macros. Each rule allows
only characters that are plain text in all of these. ``mbs.modulemd.naming`` and submissions apply the rules
to modules that are built or recorded; a document that is only read may have any names.

Sources: rpm's ``ALLOWED_CHARS_NAME``, Koji's rule for tag names, ``git check-ref-format``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Max characters of a name that an error message repeats.
_SHOWN = 80


@dataclass(frozen=True)
class Rule:
    """The rule for one kind of name.

    Attributes:
        noun: The kind, for messages: "The {noun} 'x' ...".
        pattern: Pattern of the whole name.
        longest: Max characters.
        allowed: The pattern in words.
    """

    noun: str
    pattern: re.Pattern[str]
    longest: int
    allowed: str

    def fits(self, text: object) -> bool:
        """Return whether ``text`` follows the rule."""
        return (
            isinstance(text, str)
            and len(text) <= self.longest
            and self.pattern.fullmatch(text) is not None
            and ".." not in text
        )

    def fault(self, text: object) -> str:
        """Return the fault of a name, or an empty text."""
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
        """Say which characters are allowed."""
        return f"Use up to {self.longest} of {self.allowed}."


_PLAIN = "letters, digits, '_', '.', '+' and '-', beginning with a letter, a digit or '_', without '..'"


def _rule(noun: str, pattern: str, longest: int, allowed: str = _PLAIN) -> Rule:
    return Rule(noun, re.compile(pattern), longest, allowed)


#: Names of modules, profiles, components and packages.
NAME = _rule("name", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", 128)
#: 64 characters: with name, version and context it makes a file name that every file system accepts.
STREAM = _rule("stream", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", 64)
CONTEXT = _rule("context", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", 32)
ARCH = _rule("architecture", r"[A-Za-z0-9][A-Za-z0-9_]*", 32, "letters, digits and '_'")
#: A part of the release of RPMs, which has no dash.
MARKING = _rule("marking", r"[A-Za-z0-9_][A-Za-z0-9_.+]*", 64, "letters, digits, '_', '.' and '+'")
#: 250 characters leave room for ``-build``, which is appended to the tags of modules.
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
    """A stricter form of git's rule for refs.

    Patterns, revision operators and characters that a shell, rpm or an HTTP header interprets are refused.
    """

    def fits(self, text: object) -> bool:
        """Return whether ``text`` follows the rule."""
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
