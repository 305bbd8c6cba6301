"""Hostile metadata of repositories on this machine: bounded memory and time."""

from __future__ import annotations

import lzma
import zlib
from pathlib import Path

import pytest

from builds.resolvers.repositories import RepositoryUniverse
from buildsys import module_metadata
from tests.builds.resolvers.documents import text

_PERL = text("perl", "5.30", 1)
#: Of LZMA2 (xz file format, 5.3.1): 36 stands for a dictionary of 1 GiB.
_GIBIBYTE = 36


def with_dictionary(content: bytes, size: int) -> bytes:
    """An xz file that asks for another dictionary than it needs."""
    start = 12  # behind the stream header
    end = start + 4 * (content[start] + 1)
    block = bytearray(content[start : end - 4])
    block[block.index(b"\x21\x01") + 2] = size
    return content[:start] + block + zlib.crc32(block).to_bytes(4, "little") + content[end:]


def test_a_small_file_that_asks_for_a_gibibyte_is_passed_over(tmp_path: Path) -> None:
    content = lzma.compress(_PERL.encode(), format=lzma.FORMAT_XZ)
    (tmp_path / "a-modules.yaml.xz").write_bytes(with_dictionary(content, _GIBIBYTE))
    assert RepositoryUniverse([str(tmp_path)]).streams(["perl"]) == {"perl": []}
    (tmp_path / "b-modules.yaml.xz").write_bytes(content)
    assert RepositoryUniverse([str(tmp_path)]).streams(["perl"]) == {"perl": ["5.30"]}


def test_a_plain_file_over_the_bound_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_metadata, "MAX_BYTES", 10_000)
    (tmp_path / "modules.yaml").write_text(_PERL + "#" * 10_000)
    assert RepositoryUniverse([str(tmp_path)]).streams(["perl"]) == {"perl": []}


def test_a_folder_may_be_named_from_where_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "modules.yaml.xz").write_bytes(lzma.compress(_PERL.encode()))
    monkeypatch.chdir(tmp_path)
    assert RepositoryUniverse(["."]).streams(["perl"]) == {"perl": ["5.30"]}
