"""Modules of the dnf repositories of this machine: with a program in place of dnf, and with dnf itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildsys.local.modules import ModuleFolder
from mbs.client.local import earlier_builds, host_modules
from mbs.client.local.host_modules import DnfFailed, HostModules, refresh
from mbs.client.local.module_cache import cache_root
from mbs.client.up.needs import Missing
from tests.mbs.client.local.other import ARCH, DOCUMENT, MODULE, TAG, build_rpm

NEVRA = "one-0:1.0-1.module+el9.noarch"
ARTIFACTS = [
    NEVRA,
    "one-0:1.0-1.module+el9.src",
    "one-debuginfo-0:1.0-1.module+el9.noarch",
    "one-0:1.0-1.module+el9.vax",
    "--setopt=evil-0:1.0-1.noarch",
]
DNF = """\
#!{python}
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
with (here / "log").open("a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
options = dict(each.lstrip("-").split("=", 1) for each in sys.argv if each.startswith("--") and "=" in each)
cache = [each.split("=")[2] for each in sys.argv if each.startswith("--setopt=cachedir=")]
if (here / "error").exists():
    sys.exit((here / "error").read_text())
if "makecache" in sys.argv:
    shutil.copytree(here / "metadata", cache[0], dirs_exist_ok=True)
if "download" in sys.argv:
    for path in (here / "rpms").iterdir():
        shutil.copy(path, options["destdir"])
"""


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The RPM of the module."""
    return build_rpm(tmp_path_factory.mktemp("rpm"))


class Host:
    """A machine with dnf, whose repositories have one module."""

    def __init__(self, folder: Path, rpm: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.delenv(host_modules.FOLDERS, raising=False)
        self.folder = folder / "bin"
        for name in ("metadata/repodata", "rpms"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "metadata" / "repodata" / "modules.yaml").write_text(
            f"{DOCUMENT}  artifacts: {{rpms: {json.dumps(ARTIFACTS)}}}\n"
        )
        (self.folder / "rpms" / "one-1.0-1.module+el9.noarch.rpm").write_bytes(rpm)
        program = self.folder / "dnf"
        program.write_text(DNF.format(python=sys.executable))
        program.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda name, found=shutil.which: self.which(name, found))
        monkeypatch.setattr(host_modules, "CACHES", (self.folder / "metadata",))
        self.present = True
        self.said: list[str] = []

    def which(self, name: str, found) -> str | None:
        """Return the path of a program."""
        if name.startswith("dnf"):
            return str(self.folder / "dnf") if self.present and name == "dnf" else None
        return found(name)

    def calls(self) -> list[list[str]]:
        """Return the arguments of all calls of dnf."""
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def take(self, *, offline: bool) -> earlier_builds.EarlierBuild | None:
        """Take the module from the repositories."""
        return HostModules(self.said.append, offline=offline).module(MODULE)


@pytest.fixture
def host(tmp_path: Path, rpm: bytes, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The machine."""
    return Host(tmp_path, rpm, monkeypatch)


def test_a_module_of_the_repositories_can_be_built_against_and_is_kept(host: Host, tmp_path: Path) -> None:
    options = refresh(host.said.append)
    assert json.loads(options[host_modules.FOLDERS]) == [str(host_modules.metadata_folder())]
    found = host.take(offline=False)
    assert found is not None
    makecache, download = host.calls()
    assert f"--setopt=cachedir={host_modules.metadata_folder()}" in makecache
    assert [each for each in download if not each.startswith("--")] == ["download", NEVRA]
    assert "--cacheonly" not in download
    earlier_builds.take(found, tmp_path / "data")
    (content,) = ModuleFolder(tmp_path / "data" / "local", TAG).content()
    assert content[1].filename == "one-1.0-1.module+el9.noarch.rpm"
    assert host.take(offline=False) == found
    assert len(host.calls()) == 2, "nothing is downloaded again"


def test_offline_only_the_caches_of_dnf_are_used(host: Host) -> None:
    assert host.take(offline=True)
    (download,) = host.calls()
    assert "--cacheonly" in download
    assert not any("cachedir" in each for each in download)


def test_folders_that_the_service_is_told_to_use_are_read(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(host_modules.FOLDERS, json.dumps([str(tmp_path / "none")]))
    assert host.take(offline=True) is None
    assert host.said == []


def test_without_dnf_nothing_is_said_until_its_rpms_are_needed(host: Host) -> None:
    host.present = False
    with pytest.raises(Missing, match="dnf is not installed"):
        refresh(host.said.append)
    host.said.clear()
    other = HostModules(host.said.append, offline=True).module(MODULE.parse("other:1:1:c0ffee12"))
    assert (other, host.said) == (None, [])
    assert host.take(offline=True) is None
    assert "without its RPMs: dnf is not installed" in host.said[-1]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("No such command: download.", "dnf-plugins-core"),
        ("Cache-only enabled\nbut no cache\x1b[2J", "but no cache"),
    ],
)
def test_a_module_is_used_without_rpms_that_dnf_does_not_provide(host: Host, error: str, said: str) -> None:
    (host.folder / "error").write_text(error)
    assert host.take(offline=True) is None
    assert said in host.said[-1]
    assert "\x1b" not in host.said[-1]


def test_a_module_of_which_dnf_has_only_a_part_is_used_without_rpms(host: Host) -> None:
    next((host.folder / "rpms").iterdir()).unlink()
    assert host.take(offline=True) is None
    assert "dnf has 0 of its 1 RPMs" in host.said[-1]


def test_metadata_that_cannot_be_read_is_an_error(host: Host) -> None:
    (host.folder / "error").write_text("Failed to download metadata for repo 'base'")
    with pytest.raises(DnfFailed, match="Failed to download metadata"):
        refresh(host.said.append)


def test_dnf_itself_provides_modules_that_are_not_enabled(
    tmp_path: Path, rpm: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shutil.which("dnf")
    known = program and subprocess.run(
        [program, "download", "--help"], capture_output=True, env={"PATH": "/usr/bin:/bin"}
    )
    if not known or known.returncode:
        pytest.skip("dnf and its command download are not installed")
    repo, bin_ = tmp_path / "repo", tmp_path / "bin"
    for folder in (repo, bin_, tmp_path / "repos.d"):
        folder.mkdir()
    (repo / "one-1.0-1.module+el9.noarch.rpm").write_bytes(rpm)
    artifacts = json.dumps([NEVRA, NEVRA.replace("noarch", "src")])
    (repo / "modules.yaml").write_text(
        f"---\n{DOCUMENT}  arch: {ARCH}\n  artifacts: {{rpms: {artifacts}}}\n...\n"
    )
    subprocess.run(["createrepo_c", "--quiet", str(repo)], check=True)
    command = ["modifyrepo_c", "--mdtype=modules", str(repo / "modules.yaml"), str(repo / "repodata")]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "repos.d" / "base.repo").write_text(
        f"[base]\nname=Base\nbaseurl={repo.as_uri()}\nenabled=1\ngpgcheck=0\n"
    )
    wrapper = bin_ / "dnf"
    wrapper.write_text(
        f'#!/bin/sh\nexec {program} --setopt=reposdir={tmp_path}/repos.d --releasever=0 "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    refresh(print)
    found = HostModules(print, offline=False).module(MODULE)
    assert found is not None
    assert len(list(cache_root().glob("*/local/modules/*/repo/*.rpm"))) == 1
