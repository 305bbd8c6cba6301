"""The name of a module build, and every other name that is made of it.

Source of the rules: docs/contract/modulemd.md, "Names and hashes".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mbs.errors import InvalidInput

#: Koji's own bound for names of tags, and the bound of older hubs for names of targets.
MAX_TAG = 256
MAX_TARGET = 50
#: What Koji tags get appended for the buildroot; the name of a tag must leave room for it.
BUILD_SUFFIX = "-build"


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, order=True)
class NSVC:
    """Name, stream, version and context of a module build.

    Attributes:
        version: Decimal digits, a 64-bit unsigned integer. It is text here, as in the REST API;
            compare versions as numbers (``int(nsvc.version)``).
    """

    name: str
    stream: str
    version: str
    context: str

    def __str__(self) -> str:
        return f"{self.name}:{self.stream}:{self.version}:{self.context}"

    @property
    def ns(self) -> str:
        """The stream: ``name:stream``."""
        return f"{self.name}:{self.stream}"

    @classmethod
    def parse(cls, text: str) -> NSVC:
        """Read ``name:stream:version:context``.

        Raises:
            InvalidInput: When a part is missing or empty, or the version is not a 64-bit number.
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

    @property
    def nvr(self) -> dict[str, str]:
        """Name, version and release of the module's build in Koji.

        Koji's versions hold no dash, so that a stream's dashes become underscores.
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
        """The text that tags and dist tags hash: ``name.stream.version.context``."""
        return ".".join((self.name, self.stream, self.version, self.context))

    @property
    def dist_hash(self) -> str:
        """The last piece of the dist tag: 8 hex digits."""
        return _sha1(self.dotted)[:8]

    def koji_tag(self, scratch_id: int | None = None) -> str:
        """Name of the module's tag in Koji; ``-build`` is appended for the buildroot's.

        Args:
            scratch_id: Number of the module build when it is a scratch build, so that the same
                commit can be submitted again.
        """
        return self._koji_name(MAX_TAG - len(BUILD_SUFFIX), scratch_id)

    def koji_target(self, scratch_id: int | None = None) -> str:
        """Name of the module's build target in Koji; arguments as for ``koji_tag``."""
        return self._koji_name(MAX_TARGET, scratch_id)

    def _koji_name(self, longest: int, scratch_id: int | None) -> str:
        prefix, suffix = ("module-", "") if scratch_id is None else ("scrmod-", f"+{scratch_id}")
        name = f"{prefix}{self.name}-{self.stream}-{self.version}-{self.context}{suffix}"
        if len(name) <= longest:
            return name
        return f"{prefix}{_sha1(self.dotted)[:16]}{suffix}"

    def disttag(
        self, index: int, *, marking: str = "", scratch: bool = False, prefix: str = "module+"
    ) -> str:
        """Dist tag of the module's RPMs, without the leading dot.

        Args:
            index: The lowest id among the builds of the same name, stream and version.
            marking: The ``disttag_marking`` of the privileged or base module, else the base
                module's stream; empty without a base module.
            prefix: The configured one; scratch builds have their own.
        """
        marked = f"{marking}+" if marking else ""
        return f"{'scrmod+' if scratch else prefix}{marked}{index}+{self.dist_hash}"
