"""modulemd: the documents that modules are described by.

``parse`` reads a file, ``parse_stream`` the one stream of a submission, ``examine`` judges each document of
a file by itself; ``upgrade`` makes v2 streams of any stream document, ``dump`` writes documents. Rules:
docs/contract/modulemd.md; what is meant to differ from libmodulemd: ``docs/modulemd-differences.md``.
"""

from __future__ import annotations

from mbs.modulemd.documents import (
    Buildopts,
    Configuration,
    Defaults,
    Dependencies,
    Document,
    Intent,
    ModuleComponent,
    Obsoletes,
    PackagerV2,
    PackagerV3,
    Profile,
    RpmComponent,
    RpmMapEntry,
    StreamV1,
    StreamV2,
    Translations,
    Xmd,
)
from mbs.modulemd.dumping import dump, dump_all
from mbs.modulemd.errors import ModulemdError
from mbs.modulemd.naming import check_names, misnamed
from mbs.modulemd.parsing import Verdict, examine, parse, parse_stream, parse_streams
from mbs.modulemd.upgrading import upgrade

__all__ = [
    "Buildopts",
    "Configuration",
    "Defaults",
    "Dependencies",
    "Document",
    "Intent",
    "ModuleComponent",
    "ModulemdError",
    "Obsoletes",
    "PackagerV2",
    "PackagerV3",
    "Profile",
    "RpmComponent",
    "RpmMapEntry",
    "StreamV1",
    "StreamV2",
    "Translations",
    "Verdict",
    "Xmd",
    "check_names",
    "dump",
    "dump_all",
    "examine",
    "misnamed",
    "parse",
    "parse_stream",
    "parse_streams",
    "upgrade",
]
