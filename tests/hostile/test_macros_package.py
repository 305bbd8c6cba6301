"""The source RPM of module-build-macros is made in a sandbox, so that its spec file does no harm."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from buildsys.base import BuildSystemError
from buildsys.koji.macros import make_srpm
from mbs import macros
from tests.buildsys.rigs import module
from tests.mbs.rpm import needs_rpm

pytestmark = needs_rpm

SPEC = """\
{first}
Name: module-build-macros
Version: 0.1
Release: 1
Summary: {summary}
License: MIT
BuildArch: noarch
%description
x
%files
"""


def made(text: str) -> tuple[str, bytes]:
    return make_srpm(macros.PACKAGE, text)


def test_the_package_of_a_module_is_made() -> None:
    name, content = made(macros.spec_for(replace(module(), disttag="module+el9+1+0a1b2c3d")))
    assert name == "module-build-macros-0.1-1.module+el9+1+0a1b2c3d.src.rpm"
    assert content.startswith(b"\xed\xab\xee\xdb")


def test_a_spec_file_that_runs_commands_reaches_neither_files_nor_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MBS_KOJI_PASSWORD", "hunter2")
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    tmp_path.chmod(0o777)
    ran = tmp_path / "ran"
    first = f"%(touch {ran}; id > {ran} 2>/dev/null)"
    seen = f"%(cat {secret} /proc/1/environ 2>/dev/null; env | xargs)"
    _, content = made(SPEC.format(first=first, summary="x" + seen))
    assert not ran.exists()
    assert b"s3cret" not in content
    assert b"hunter2" not in content


@pytest.mark.parametrize(
    "command",
    [
        "exit 1",
        "ln -s /etc /builddir/srpms/module-build-macros-9-1.src.rpm",
        "rm -r /builddir/srpms; ln -s /etc /builddir/srpms",
        "head -c 17000000 /dev/zero > /builddir/srpms/module-build-macros-9-1.src.rpm",
    ],
)
def test_links_left_by_a_spec_file_are_not_followed(command: str) -> None:
    broken = "%{error:x}" if command == "exit 1" else ""
    with pytest.raises(BuildSystemError) as caught:
        made(SPEC.format(first=f"%({command}){broken}", summary="x"))
    assert caught.value.code == "srpm_failed"


def test_nothing_is_left_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made(SPEC.format(first="%(mkdir -p a/b; chmod 0 a)", summary="x"))
    # An ordinary user's builds take numbers by locks in a folder that stays.
    left = [name for name in os.listdir(tmp_path) if not name.startswith("module-build-service-users-")]
    assert left == []
