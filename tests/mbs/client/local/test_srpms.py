"""Source RPMs as sources of components."""

from __future__ import annotations

import random
import subprocess
import tracemalloc
from pathlib import Path

from mbs.client.local import srpms
from tests.gitrepos import git

SPEC = """\
Name: large
Version: 1
Release: 1
Summary: A package with a large source
License: MIT
Source: large.bin
%description
A package of a test.
"""
SIZE = 48 << 20


def test_a_large_source_rpm_is_stored_without_being_in_memory(tmp_path: Path) -> None:
    (tmp_path / "large.spec").write_text(SPEC)
    # Zeros would be unpacked in large parts.
    (tmp_path / "large.bin").write_bytes(random.Random(1).randbytes(SIZE))
    defines = [f"--define=_{name}dir {tmp_path}" for name in ("source", "srcrpm", "spec")]
    command = ["rpmbuild", "-bs", *defines, str(tmp_path / "large.spec")]
    subprocess.run(command, check=True, capture_output=True)
    (srpm,) = tmp_path.glob("*.src.rpm")
    tracemalloc.start()
    try:
        url, commit = srpms.store(srpm, tmp_path / "git" / "large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SIZE // 4
    assert url == (tmp_path / "git" / "large").as_uri()
    assert git(tmp_path / "git" / "large", "cat-file", "-s", f"{commit}:large.bin") == str(SIZE)
    assert git(tmp_path / "git" / "large", "show", f"{commit}:large.spec") == SPEC.strip()
    assert [path.name for path in (tmp_path / "git").iterdir()] == ["large"]
