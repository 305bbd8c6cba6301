"""modulemd: the YAML documents that describe modules.

``parse`` reads a file, ``parse_stream`` the only stream of a submission, ``examine`` checks each document of
a file separately, ``upgrade`` converts stream documents to v2, and ``dump`` writes documents. The rules are
in docs/contract/modulemd.md, intended differences from libmodulemd in docs/modulemd-differences.md.
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
from mbs.modulemd.locating import Locator
from mbs.modulemd.naming import check_names, name_problems
from mbs.modulemd.parsing import Verdict, examine, parse, parse_stream, parse_streams, read_streams
from mbs.modulemd.upgrading import upgrade

__all__ = [
    "Buildopts",
    "Configuration",
    "Defaults",
    "Dependencies",
    "Document",
    "Intent",
    "Locator",
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
    "name_problems",
    "parse",
    "parse_stream",
    "parse_streams",
    "read_streams",
    "upgrade",
]
