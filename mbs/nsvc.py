"""Names of a module build: N:S:V:C and the names that are derived from it.

The rules are in docs/contract/modulemd.md, "Names and hashes".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mbs.errors import InvalidInput

#: The parts of an N:S:V:C: columns of module builds, and keys of their representations.
PARTS = ("name", "stream", "version", "context")
#: Koji's limit for names of tags, and the limit of older hubs for names of targets.
MAX_TAG = 256
MAX_TARGET = 50
#: Beginnings of the tags of module builds and of scratch builds.
TAGS = ("module-", "scrmod-")
#: The buildroot's tag is the module's tag with this suffix, so the module's tag must leave room for it.
BUILD_SUFFIX = "-build"


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, order=True)
class NSVC:
    """Name, stream, version and context of a module build.

    Attributes:
        version: Decimal digits of a 64-bit unsigned integer. A text, as in the REST API; compare
            ``int(nsvc.version)``.
    """

    name: str
    stream: str
    version: str
    context: str

    def __str__(self) -> str:
        return f"{self.ns}:{self.version}:{self.context}"

    @property
    def ns(self) -> str:
        """The stream as ``name:stream``."""
        return f"{self.name}:{self.stream}"

    @property
    def svc(self) -> str:
        """The build of a known module as ``stream:version:context``."""
        return f"{self.stream}:{self.version}:{self.context}"

    @classmethod
    def of(cls, values: Mapping[str, object]) -> NSVC:
        """Return the NSVC in a mapping with the keys ``PARTS``; a part is empty if it is missing or None."""
        return cls(*("" if values.get(part) is None else str(values[part]) for part in PARTS))

    @classmethod
    def parse(cls, text: str) -> NSVC:
        """Parse ``name:stream:version:context``.

        Raises:
            InvalidInput: A part is missing or empty, or the version is not a 64-bit number.
        """
        parts = text.split(":")
        if len(parts) != 4 or not all(parts):
            raise InvalidInput(
                f"{text[:200]!r} is not an NSVC.",
                code="invalid_nsvc",
                hint="Write name:stream:version:context.",
            )
        version = parts[2]
        if not (version.isascii() and version.isdigit() and len(version) <= 20 and int(version) < 2**64):
            raise InvalidInput(
                f"The version in {text[:200]!r} is not a number.",
                code="invalid_nsvc",
                hint="A version is a 64-bit unsigned integer.",
            )
        return cls(*parts)

    @staticmethod
    def split(text: str) -> dict[str, str]:
        """Return the parts of ``name[:stream[:version[:context]]]`` by name; empty for any other text."""
        parts = text.split(":")
        return dict(zip(PARTS, parts, strict=False)) if len(parts) <= len(PARTS) and all(parts) else {}

    @property
    def nvr(self) -> dict[str, str]:
        """Name, version and release of the module's build in Koji.

        Koji allows no dash in versions, so dashes of the stream become underscores.
        """
        return {
            "name": self.name,
            "version": self.stream.replace("-", "_"),
            "release": f"{self.version}.{self.context}",
        }

    @property
    def nvr_string(self) -> str:
        """``nvr`` as Koji writes it: ``name-version-release``."""
        return "-".join(self.nvr.values())

    @property
    def dotted(self) -> str:
        """The text that is hashed for tags and dist tags: ``name.stream.version.context``."""
        return ".".join((self.name, self.stream, self.version, self.context))

    @property
    def dist_hash(self) -> str:
        """The last part of the dist tag: 8 hexadecimal digits."""
        return _sha1(self.dotted)[:8]

    def koji_tag(self, scratch_id: int | None = None) -> str:
        """Return the name of the module's tag in Koji.

        Args:
            scratch_id: Id of a scratch build, which allows the same commit to be submitted again.
        """
        return self._koji_name(MAX_TAG - len(BUILD_SUFFIX), scratch_id)

    def koji_target(self, scratch_id: int | None = None) -> str:
        """Return the name of the module's build target in Koji; for the argument see ``koji_tag``."""
        return self._koji_name(MAX_TARGET, scratch_id)

    def _koji_name(self, longest: int, scratch_id: int | None) -> str:
        prefix, suffix = (TAGS[0], "") if scratch_id is None else (TAGS[1], f"+{scratch_id}")
        name = f"{prefix}{self.name}-{self.stream}-{self.version}-{self.context}{suffix}"
        if len(name) <= longest:
            return name
        return f"{prefix}{_sha1(self.dotted)[:16]}{suffix}"

    def disttag(
        self, index: int, *, marking: str = "", scratch: bool = False, prefix: str = "module+"
    ) -> str:
        """Return the dist tag of the module's RPMs, without the leading dot.

        Args:
            index: The lowest id among the builds of the same name, stream and version.
            marking: The ``disttag_marking`` of the privileged or base module, otherwise the base module's
                stream; empty without a base module.
            prefix: The configured prefix; scratch builds have another.
        """
        marked = f"{marking}+" if marking else ""
        return f"{'scrmod+' if scratch else prefix}{marked}{index}+{self.dist_hash}"
