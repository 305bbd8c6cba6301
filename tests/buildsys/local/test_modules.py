"""Tags, repositories and finished modules."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from buildsys.base import BuildSystemError, RepoState, Tagged
from buildsys.local.hostpackage import make_host_repository
from buildsys.local.rpmfile import Dependency, Package, read_package
from buildsys.local.sandbox import Sandbox
from mbs.modulemd import parse_stream
from tests.buildsys.packages import DISTTAG, DOCUMENT, Bench, module, spec
from tests.gitrepos import make_repo

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def names(folder: Path) -> list[str]:
    return sorted(path.name.rsplit("-", 2)[0] for path in folder.glob("*.rpm"))


def test_tagging_adds_builds_to_the_tag_and_may_be_repeated(bench: Bench) -> None:
    one = bench.complete(bench.job(2, "one", spec("one")), final=False)
    both = [one, bench.complete(bench.job(3, "two", spec("two")))]
    bench.system.tag(bench.module, both[1:])
    tagged = bench.system.tagged(bench.module, [*both, "absent-1-1"])
    assert tagged == Tagged(buildroot=frozenset(both), final=frozenset(both[1:]))


def test_a_repository_is_ready_when_it_holds_what_was_asked_for(bench: Bench) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    request = bench.system.request_repo(bench.module)
    assert request == bench.system.request_repo(bench.module)
    assert bench.system.repo_status(bench.module, request, [nvr]).state is RepoState.READY
    late = bench.system.repo_status(bench.module, request, [nvr, "absent-1-1"])
    assert (late.state, late.missing) == (RepoState.FAILED, ("absent-1-1",))


def test_a_build_of_another_module_is_reused(bench: Bench) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    other = Bench(bench.root, module=module(tag="module-other-1-1-1"))
    other.system.tag(other.module, [nvr], task_ids={nvr: 201})
    assert other.system.tagged(other.module, [nvr]).final == {nvr}


@pytest.mark.parametrize("nvr", ["absent-1-1", "../../../tasks", ".", "a/b-1-1", ""])
def test_an_unknown_build_cannot_be_tagged(bench: Bench, nvr: str) -> None:
    with pytest.raises(BuildSystemError) as caught:
        bench.system.tag(bench.module, [nvr])
    assert caught.value.code == "unknown_build"


@pytest.mark.parametrize("tag", ["module-a/../../../b:c,d-1-1", "..", "module-%2e%2e"])
def test_odd_characters_of_a_tag_do_not_leave_the_folder(tmp_path: Path, tag: str) -> None:
    bench = Bench(tmp_path / "local", module=module(tag=tag))
    assert bench.complete(bench.job(2, "one", spec("one"))) == f"one-1-1.{DISTTAG}"
    assert bench.complete(bench.job(3, "two", spec("two", head="BuildRequires: one"))) == f"two-1-1.{DISTTAG}"
    assert [path.name for path in tmp_path.iterdir()] == ["local"]
    assert sorted(path.name for path in (tmp_path / "local").iterdir()) == ["modules", "tasks"]


def test_the_finished_module_contains_the_rpms_of_its_document(bench: Bench) -> None:
    bench.complete(bench.macros(), final=False)
    nvrs = {
        name: bench.complete(bench.job(number, name, spec(name)), final=name != "tool")
        for number, name in enumerate(["one", "two", "hidden", "tool"], 2)
    }
    result = bench.system.finalize(bench.module, nvrs)

    folder = bench.root / "modules" / bench.module.tag
    assert result.topdir == f"http://mbs.example.org/results/modules/{bench.module.tag}/repo"
    assert names(folder / "repo") == ["one", "two"]
    assert names(folder / "source") == ["one", "two"]
    document = parse_stream(result.modulemds[os.uname().machine], strict=True)
    assert document.artifact_rpms == [
        f"{name}-0:1-1.{DISTTAG}.{arch}" for name in ("one", "two") for arch in ("noarch", "src")
    ]
    assert document.content_licenses == ["MIT"]
    assert list(document.profiles) == ["default"]
    assert set(result.modulemds) == {os.uname().machine, "src"}
    assert list((folder / "repo" / "repodata").glob("*modules.yaml*"))


def test_finishing_twice_leaves_the_repository_alone(bench: Bench) -> None:
    nvrs = {"one": bench.complete(bench.job(2, "one", spec("one")))}
    first = bench.system.finalize(bench.module, nvrs)
    repomd = bench.root / "modules" / bench.module.tag / "repo" / "repodata" / "repomd.xml"
    before = repomd.stat()
    assert bench.system.finalize(bench.module, nvrs) == first
    assert (repomd.stat().st_ino, repomd.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_module_without_components_is_a_repository_of_its_document(bench: Bench) -> None:
    result = bench.system.finalize(bench.module, {})
    assert parse_stream(result.modulemds["src"], strict=True).name == bench.module.name
    folder = bench.root / "modules" / bench.module.tag / "repo"
    assert list((folder / "repodata").glob("*modules.yaml*"))
    assert not list(folder.glob("*.rpm"))


def test_a_module_whose_builds_are_not_tagged_cannot_be_finished(bench: Bench) -> None:
    with pytest.raises(BuildSystemError) as caught:
        bench.system.finalize(bench.module, {"one": "one-1-1"})
    assert caught.value.code == "not_tagged"


def test_sizes_and_dependencies_of_what_was_built_are_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvr = bench.complete(bench.job(2, "one", spec("one")))
    bench.complete(bench.job(3, "two", spec("two")), final=False)
    found = {(each.name, each.arch): each for each in bench.system.recorded_rpms(bench.module)}
    assert {name for name, _ in found} == {"one"}
    (binary,) = (each for (_, arch), each in found.items() if arch != "src")
    (path,) = (bench.root / "modules").glob(f"*/final/{nvr}/*.{binary.arch}.rpm")
    assert binary.size == path.stat().st_size
    assert any(each.startswith("one = ") for each in binary.provides or ())
    monkeypatch.setattr("buildsys.local.modules.MAX_FACTS", 0)
    assert {each.provides for each in bench.system.recorded_rpms(bench.module)} == {None}


def package(*requires: Dependency, provides: tuple[Dependency, ...] = ()) -> Package:
    return Package("p", 0, "1", "1", "noarch", "MIT", "p-1-1.src.rpm", "", provides, requires, (), (), (), ())


def host_package(bench: Bench, label: str, *packages: Package) -> Package:
    """The package that stands for this machine, for a module that holds ``packages``."""
    folder = bench.root / label
    folder.mkdir()
    sandbox = Sandbox(folder / "work", folder / "root", limits=bench.limits)
    make_host_repository(folder, label, lambda: packages, bench.root / "scratch", sandbox)
    (rpm,) = folder.glob("*.rpm")
    assert (folder / "repodata" / "repomd.xml").is_file()
    return read_package(rpm)


def test_the_host_package_provides_what_a_module_needs_of_the_host(bench: Bench) -> None:
    soname, own = Dependency("libc.so.6()(64bit)"), Dependency("own")
    needs = [Dependency("/bin/sh"), soname, own, Dependency("absent"), Dependency("rpmbuild", ">=", "1")]
    host = host_package(bench, "module-a:1", package(*needs, provides=(own,)))
    provided = {str(provide) for provide in host.provides}
    assert host.name == "host-module-a-1"
    assert {"/bin/sh", "libc.so.6()(64bit)", "libc.so.6(GLIBC_2.17)(64bit)", "rpmbuild = 1"} <= provided
    assert not {"own", "absent"} & provided


def test_the_host_package_of_a_module_has_only_its_own_requirements(bench: Bench) -> None:
    host_package(bench, "module-a-1", package(Dependency("make")))
    other = host_package(bench, "module-b-1", package(Dependency("/bin/sh")))
    assert "make" not in {provide.name for provide in other.provides}


def example(bench: Bench, tmp_path: Path, component: int, name: str) -> str:
    files = {path.name: path.read_bytes() for path in (EXAMPLES / "rpms" / name).iterdir()}
    commit = make_repo(tmp_path / name, files)
    return bench.complete(bench.job(component, name, source=f"{(tmp_path / name).as_uri()}#{commit}"))


@pytest.mark.skipif(not shutil.which("dnf"), reason="dnf is not here")
def test_the_example_is_built_installed_with_dnf_and_runs(tmp_path: Path) -> None:
    text = (EXAMPLES / "modules" / "greetings" / "greetings.yaml").read_text()
    greetings = module(name="greetings", tag="module-greetings-1-92026-c0ffee12", modulemd=text)
    bench = Bench(tmp_path / "local", module=greetings)
    bench.complete(bench.macros(), final=False)
    nvrs = {
        name: example(bench, tmp_path, number, name)
        for number, name in enumerate(["libmbsgreet", "mbsgreet-data", "mbsgreet-textgen", "mbsgreet"], 2)
    }
    bench.system.finalize(greetings, nvrs)
    scratch = tmp_path / "scratch"
    commands = bench.system.dnf_commands(greetings, scratch)
    # The plugin "local" of Debian would copy the RPMs into a folder of the machine.
    assert "--setopt=plugins=0" in commands.install

    listing = subprocess.run(commands.listing, check=True, capture_output=True, text=True, timeout=120)
    assert "greetings 1" in listing.stdout
    subprocess.run(commands.install, check=True, capture_output=True, text=True, timeout=120)
    installed = {str(path.relative_to(scratch)) for path in (scratch / "usr").rglob("*") if path.is_file()}
    assert {"usr/bin/mbsgreet", "usr/lib64/libmbsgreet.so.1.2.0"} <= installed
    assert not [path for path in installed if "textgen" in path or path.endswith(".h")]

    environment = {
        "LD_LIBRARY_PATH": str(scratch / "usr" / "lib64"),
        "MBSGREET_FILE": str(scratch / "usr" / "share" / "mbsgreet" / "greetings.txt"),
    }
    said = subprocess.run(
        [scratch / "usr/bin/mbsgreet", "de"], env=environment, capture_output=True, text=True
    )
    assert said.stdout == "Guten Tag, world!\n"


def dnf_document(name: str, requires: str) -> str:
    """A module of one package, which is built on el8.6.0 and requires el8, its virtual stream."""
    text = DOCUMENT.replace("name: tiny", f"name: {name}").replace("rpms: [one]", f"rpms: [{name}]")
    text = text.replace(
        "[el9]}\n    requires: {platform: [el9]}", f"[el8.6.0]}}\n    requires: {{{requires}}}"
    )
    start = text.index("      one: {")
    return text[:start] + f"      {name}: {{rationale: r}}\n"


@pytest.mark.skipif(not shutil.which("dnf"), reason="dnf is not here")
@pytest.mark.parametrize("built_against", [True, False])
def test_a_module_on_a_minor_release_is_installed_with_the_module_it_requires(
    tmp_path: Path, built_against: bool
) -> None:
    platform = {"stream": "el8.6.0", "koji_tag": "module-el8.6.0"}
    lower_module = module(
        id=8,
        name="lower",
        tag="module-lower-1-92026-c0ffee12",
        modulemd=dnf_document("lower", "platform: [el8]"),
        buildrequires={"platform": platform},
    )
    against = {"lower": {"stream": "1", "koji_tag": lower_module.tag}} if built_against else {}
    upper_module = module(
        id=9,
        name="upper",
        tag="module-upper-1-92026-c0ffee12",
        modulemd=dnf_document("upper", "platform: [el8], lower: ['1']"),
        buildrequires={"platform": platform, **against},
    )
    for number, built in enumerate((lower_module, upper_module)):
        bench = Bench(tmp_path / "local", module=built)
        head = "Requires: lower" if built is upper_module else ""
        text = spec(built.name, head=head, of=built)
        nvr = bench.complete(bench.job(2 + number, built.name, text))
        bench.system.finalize(built, {built.name: nvr})
    scratch = tmp_path / "scratch"
    commands = bench.system.dnf_commands(upper_module, scratch)
    assert "--setopt=module_platform_id=platform:el8" in commands.install
    done = subprocess.run(commands.install, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (scratch / "usr/share").iterdir()} >= {"lower", "upper"}
