"""Requests for local builds: sources, streams, changes of documents, earlier builds.

``test_building.py`` builds for real.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from manage import arguments
from mbs.client.cli import main
from mbs.client.local import earlier_builds, repository, run, srpms
from mbs.client.local.editing import SKIP_CHECKS, Changes, edit
from mbs.client.local.plan import choices, overrides, platforms
from mbs.client.local.run import LocalBuildRequest, read_module
from mbs.client.local.source import MAX_DOCUMENT, Source, find_source
from mbs.client.up import needs
from mbs.client.up.needs import Missing
from mbs.client.up.platform import HostPlatform
from mbs.errors import InvalidInput, MBSError, TooLarge
from mbs.modulemd.parsing import parse_streams
from tests.gitrepos import commit, git, make_repo

MODULEMD = """\
document: modulemd
version: 2
data:
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  dependencies:
  - buildrequires: {{platform: {platform}, perl: []}}
    requires: {{platform: {platform}}}
  buildopts: {{rpms: {{macros: "%own 1"}}}}
  components:
    rpms:
      one: {{rationale: needed, ref: '1.10'}}
"""
TEXT = MODULEMD.format(platform="[f40]")


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "host_platform", lambda: HostPlatform("el9", "A system"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of the module quiet, on the branch 1.10."""
    folder = tmp_path / "quiet"
    make_repo(folder, {"quiet.yaml": TEXT}, branch="1.10")
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """A module file that buildrequires these streams of the platform."""

    def write(platform: str) -> Path:
        path = tmp_path / "alone" / "quiet.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(MODULEMD.format(platform=platform))
        return path

    return write


def request(source: Path, **more: object) -> LocalBuildRequest:
    return LocalBuildRequest(str(source), **more)


def test_the_committed_document_is_built_unless_changes_are_wanted(checkout: Path) -> None:
    path = checkout / "quiet.yaml"
    clean = find_source(str(checkout))
    assert (clean.text, clean.file_name, clean.branch, clean.left_out) == (TEXT, "quiet", "1.10", False)
    path.write_text(TEXT.replace("%own 1", "%own 2"))
    kept, changed = find_source(str(checkout)), find_source(str(checkout), uncommitted=True)
    assert kept.text == TEXT
    assert kept.left_out
    assert kept.seconds == clean.seconds == 1517838714
    assert "%own 2" in changed.text
    assert (changed.seconds, changed.left_out) == (None, False)


def test_uncommitted_without_changes_is_the_commit(checkout: Path) -> None:
    assert find_source(str(checkout), uncommitted=True) == find_source(str(checkout))


def test_the_checkout_is_found_from_a_folder_in_it(checkout: Path) -> None:
    (checkout / "sub").mkdir()
    assert find_source(str(checkout / "sub")) == find_source(str(checkout))


def test_a_new_document_without_a_commit_is_built_with_uncommitted(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "new.yaml").write_text(TEXT)
    with pytest.raises(InvalidInput, match="has no commit"):
        find_source(str(folder))
    assert find_source(str(folder), uncommitted=True).text == TEXT


def test_the_document_is_named_after_the_repository_or_the_folder_or_is_the_only_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    make_repo(folder, {"folder.yaml": TEXT, "remote.yaml": TEXT, "x.yaml": TEXT})
    assert find_source(str(folder)).file_name == "folder"
    git(folder, "remote", "add", "origin", "https://git.example.com/modules/remote.git/")
    assert find_source(str(folder)).file_name == "remote"
    git(folder, "rm", "--quiet", "folder.yaml", "remote.yaml")
    commit(folder, {})
    assert find_source(str(folder)).file_name == "x"
    commit(folder, {"y.yaml": TEXT})
    with pytest.raises(InvalidInput, match=r"several YAML files: x.yaml, y.yaml"):
        find_source(str(folder))
    git(folder, "rm", "--quiet", "x.yaml", "y.yaml")
    commit(folder, {})
    with pytest.raises(InvalidInput, match="no modulemd file"):
        find_source(str(folder))


@pytest.mark.parametrize("uncommitted", [False, True])
def test_a_document_that_links_out_of_the_checkout_is_refused(tmp_path: Path, uncommitted: bool) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(TEXT)
    folder = tmp_path / "linked"
    make_repo(folder, {"README": "x"})
    (folder / "linked.yaml").symlink_to(secret)
    commit(folder, {})
    with pytest.raises(InvalidInput, match="not a regular file"):
        find_source(str(folder), uncommitted=uncommitted)


def test_a_pipe_in_place_of_the_document_does_not_block(checkout: Path) -> None:
    (checkout / "quiet.yaml").unlink()
    os.mkfifo(checkout / "quiet.yaml")
    with pytest.raises(InvalidInput, match="not a regular file"):
        find_source(str(checkout), uncommitted=True)
    assert find_source(str(checkout)).left_out


@pytest.mark.parametrize("uncommitted", [False, True])
def test_a_document_that_is_too_large_is_refused(checkout: Path, uncommitted: bool) -> None:
    commit(checkout, {"quiet.yaml": "x" * (MAX_DOCUMENT + 1)})
    with pytest.raises(TooLarge, match=f"larger than {MAX_DOCUMENT} bytes"):
        find_source(str(checkout), uncommitted=uncommitted)


@pytest.mark.parametrize("name", ["a b", "--upload-pack=x", "%41#?", "line\nbreak", "é\u202e", "$(touch x)"])
def test_a_checkout_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    make_repo(folder, {"quiet.yaml": TEXT, "other\n.txt": "x"}, branch="odd/branch")
    module = read_module(request(folder, stream="1"))
    assert (module.name, module.stream, module.branch) == ("quiet", "1", "1")
    assert module.source.origin.isprintable()


def test_programs_of_the_checkouts_configuration_do_not_run(checkout: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "log.showSignature"):
        git(checkout, "config", key, str(program) if key != "log.showSignature" else "true")
    git(checkout, "config", "gpg.program", str(program))
    (checkout / "quiet.yaml").write_text(f"{TEXT}# changed\n")
    find_source(str(checkout), uncommitted=True)
    find_source(str(checkout))
    assert not ran.exists()


def test_a_partial_clone_does_not_fetch_with_programs_of_its_configuration(
    checkout: Path, tmp_path: Path
) -> None:
    """Git fetches a missing object by itself, with the ssh command of the configuration."""
    ran, blob = tmp_path / "ran", git(checkout, "rev-parse", "HEAD:quiet.yaml")
    (checkout / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for key, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "ssh://git.example.com/quiet"),
        ("core.sshCommand", f"touch '{ran}'; false"),
    ):
        git(checkout, "config", key, value)
    with pytest.raises(MBSError, match="git cat-file failed"):
        find_source(str(checkout))
    git(checkout, "config", "remote.origin.url", str(tmp_path))
    git(checkout, "config", "remote.origin.uploadpack", f"touch '{ran}'; false")
    with pytest.raises(MBSError, match="git cat-file failed"):
        find_source(str(checkout))
    assert not ran.exists()


def test_sources_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no"):
        find_source(str(tmp_path / "nothing"))
    with pytest.raises(InvalidInput, match="not a git checkout"):
        find_source(str(tmp_path))
    with pytest.raises(InvalidInput, match="neither a branch nor a commit"):
        find_source("https://git.example.com/modules/x")
    with pytest.raises(InvalidInput, match="not a URL"):
        find_source("https://git.example.com/modules/x", uncommitted=True)


def test_a_url_names_a_branch_or_a_commit(checkout: Path) -> None:
    by_branch = find_source(checkout.as_uri(), branch="1.10")
    assert (by_branch.text, by_branch.file_name, by_branch.branch) == (TEXT, "quiet", "1.10")
    by_commit = find_source(f"{checkout.as_uri()}?#{git(checkout, 'rev-parse', 'HEAD')}")
    assert (by_commit.text, by_commit.branch) == (TEXT, "")
    with pytest.raises(MBSError, match="the network is not used"):
        find_source("https://git.example.com/modules/x?#main", network=False)


def test_the_name_of_the_file_names_the_module(file: Callable[[str], Path]) -> None:
    module = read_module(request(file("[f40]"), stream="1.10"))
    assert (module.name, module.stream, [each.stream for each in module.platforms]) == (
        "quiet",
        "1.10",
        ["f40"],
    )
    assert not module.any_platform


def test_the_name_in_the_file_wins_and_the_wanted_stream_too(file: Callable[[str], Path]) -> None:
    path = file("[f40]")
    path.write_text(path.read_text().replace("data:\n", "data:\n  name: own\n  stream: '2'\n"))
    for stream, built in (("", "2"), ("1.10", "1.10")):
        module = read_module(request(path, stream=stream))
        assert (module.name, module.stream) == ("own", built)


def test_the_stream_is_asked_for_where_nothing_tells_it(file: Callable[[str], Path]) -> None:
    with pytest.raises(InvalidInput, match="stream of the module is unknown"):
        read_module(request(file("[f40]")))
    assert read_module(request(file("[f40]")), lambda name, streams: "7").stream == "7"
    with pytest.raises(InvalidInput, match="not allowed"):
        read_module(request(file("[f40]"), stream="a/b"))


@pytest.mark.parametrize("streams", ["[]", "[-f28]"])
def test_where_the_platform_is_open_it_is_this_machine(file: Callable[[str], Path], streams: str) -> None:
    module = read_module(request(file(streams), stream="1"))
    assert [each.stream for each in module.platforms] == ["el9"]
    assert module.any_platform


def test_all_platforms_that_the_document_names_are_built_for_unless_one_is_chosen(
    file: Callable[[str], Path],
) -> None:
    path = file("[f40, f39]")
    documents = parse_streams(path.read_text(), strict=False, name="quiet", stream="1")
    assert platforms(documents, {}) == ("f39", "f40")
    for chosen in ({"streams": {"platform": "f39"}}, {"platform": "platform:f39"}, {"platform": "f39"}):
        module = read_module(request(path, stream="1", **chosen))
        assert [each.stream for each in module.platforms] == ["f39"]
        assert overrides(module.documents, module.choices) == {
            "buildrequire_overrides": {"platform": ["f39"]},
            "require_overrides": {"platform": ["f39"]},
        }


def test_a_stream_can_be_chosen_of_what_the_module_depends_on_only() -> None:
    documents = parse_streams(TEXT, strict=False, name="quiet", stream="1")
    assert overrides(documents, {"perl": "5.30"}) == {"buildrequire_overrides": {"perl": ["5.30"]}}
    with pytest.raises(InvalidInput, match="does not depend on ruby"):
        overrides(documents, {"ruby": "3"})
    with pytest.raises(InvalidInput, match="NAME:STREAM"):
        choices(["perl"])


def test_edits_change_their_values_only() -> None:
    edited = edit(TEXT, Changes(stream="2", skip_checks=True, sources={"one": ("file:///srv/one", "0" * 40)}))
    before, after = yaml.safe_load(TEXT)["data"], yaml.safe_load(edited)["data"]
    assert after["buildopts"]["rpms"].pop("macros").splitlines() == ["%own 1", SKIP_CHECKS]
    assert after.pop("stream") == "2"
    assert after["components"]["rpms"].pop("one") == {
        "rationale": "needed",
        "repository": "file:///srv/one",
        "ref": "0" * 40,
    }
    before["buildopts"]["rpms"].pop("macros")
    before["components"]["rpms"].pop("one")
    assert after == before
    assert parse_streams(edited, strict=True, name="quiet")[0].stream == "2"
    assert edit(TEXT, Changes()) == TEXT
    bare = "document: modulemd\nversion: 2\ndata: {summary: 1.10}\n"
    skipped = edit(bare, Changes(skip_checks=True))
    assert "1.10" in skipped
    assert SKIP_CHECKS in yaml.safe_load(skipped)["data"]["buildopts"]["rpms"]["macros"]
    with pytest.raises(InvalidInput, match="no component 'two'"):
        edit(TEXT, Changes(sources={"two": ("file:///srv/two", "0" * 40)}))


def test_documents_get_commits_of_their_own_and_keep_them(tmp_path: Path) -> None:
    def store(text: str, seconds: int | None) -> str:
        return repository.store(
            tmp_path / "git", "quiet.yaml", text, branch="1", seconds=seconds, origin="a test"
        )

    def time(made: str) -> int:
        return int(git(tmp_path / "git", "log", "-1", "--format=%ct", made))

    first = store("a", 1517838714)
    assert store("a", 1517838714) == first
    assert time(first) == 1517838714
    other = store("b", 1517838714)  # an amended commit of the same second
    assert time(other) > time(first)
    changed, again = store("c", None), store("d", None)
    assert len({time(each) for each in (first, other, changed, again)}) == 4
    assert store("c", None) == changed
    assert git(tmp_path / "git", "rev-parse", "refs/heads/1") == changed
    assert git(tmp_path / "git", "show", f"{changed}:quiet.yaml") == "c"


def test_source_rpms_are_named_by_component(tmp_path: Path) -> None:
    path = tmp_path / "one-1-1.src.rpm"
    path.write_bytes(b"not an rpm")
    assert srpms.choices((f"one={path}",)) == srpms.choices((str(path),)) == {"one": path}
    for text in ("one", "=x", f"a/b={path}", f"one={tmp_path}", f"one={tmp_path}/two.src.rpm"):
        with pytest.raises(InvalidInput):
            srpms.choices((text,))


@pytest.mark.skipif(shutil.which("rpm2archive") is None, reason="needs rpm2archive")
def test_what_is_no_source_rpm_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one-1-1.src.rpm"
    path.write_bytes(b"not an rpm")
    with pytest.raises(InvalidInput, match="rpm2archive cannot read it"):
        srpms.store(path, tmp_path / "git")


@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="needs rpmbuild")
def test_the_files_of_a_source_rpm_become_a_commit(tmp_path: Path) -> None:
    spec = tmp_path / "one.spec"
    text = "Name: one\nVersion: 1\nRelease: 1\nSummary: One\nLicense: MIT\nSource0: one.sh\n"
    spec.write_text(f"{text}%description\nOne.\n")
    (tmp_path / "one.sh").write_text("#!/bin/sh\n")
    folders = [f"--define=_{name}dir {tmp_path}" for name in ("source", "srcrpm", "spec")]
    subprocess.run(["rpmbuild", "-bs", *folders, str(spec)], check=True, capture_output=True)
    path = next(tmp_path.glob("*.src.rpm"))
    url, made = srpms.store(path, tmp_path / "git")
    assert url == (tmp_path / "git").as_uri()
    assert srpms.store(path, tmp_path / "git") == (url, made)
    assert git(tmp_path / "git", "ls-tree", "--name-only", made).split() == ["one.sh", "one.spec"]


def test_the_folder_of_a_run_depends_on_the_checkout_and_on_the_modules_it_sees(checkout: Path) -> None:
    module = read_module(request(checkout))
    root = Path("/root-of-runs")

    def folder(*add: str, **more: object) -> Path:
        return run.folder_of(root, module, request(checkout, **more), add)

    assert folder() == folder()
    assert folder().parent == root
    assert folder().name.startswith("quiet-")
    others = [folder("perl:1:2:c"), folder(offline=True), folder(modules_from="https://mbs.example.com")]
    assert len({folder(), *others}) == 4


def test_options_select_where_modules_are_looked_up(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolver(**more: object) -> tuple[str | None, str | None, str | None]:
        found = run._settings(request(checkout, **more), tmp_path)
        return found.get("MBS_RESOLVER"), found.get("MBS_MBS_URL"), found.get("MBS_SCM_NETWORK")

    assert resolver() == (None, None, None)
    assert resolver(offline=True) == ("local", None, "false")
    assert resolver(modules_from="https://mbs.example.com") == ("mbs", "https://mbs.example.com", None)
    monkeypatch.setenv("MBS_SYSTEM", "simulated")
    assert run._settings(request(checkout), tmp_path)["MBS_SYSTEM"] == "simulated"


def test_two_runs_of_one_checkout_exclude_each_other(tmp_path: Path) -> None:
    with run._held(tmp_path), pytest.raises(MBSError, match="Another local build"), run._held(tmp_path):
        pass
    with run._held(tmp_path):
        pass


def _save(folder: Path, nsvc: str) -> None:
    folder.mkdir(parents=True)
    earlier_builds.save(folder, nsvc, TEXT, f"module-{folder.name}")


def test_earlier_builds_are_found_in_all_contexts_of_the_newest_version(tmp_path: Path) -> None:
    for folder, nsvc in (
        ("run1", "quiet:1:9:aa"),
        ("run2", "quiet:1:10:aa"),
        ("run3", "quiet:1:10:bb"),
        ("run4", "quiet:10:11:aa"),
        ("run5", "quiet:1:evil:aa"),
    ):
        _save(tmp_path / ("b" if folder == "run3" else "a") / folder, nsvc)
    roots = (tmp_path / "a", tmp_path / "b", tmp_path / "none")

    def found(wanted: str) -> list[str]:
        return sorted(":".join(each.nsvc) for each in earlier_builds.find(roots, wanted))

    assert found("quiet:1") == ["quiet:1:10:aa", "quiet:1:10:bb"]
    assert found("quiet:1:10:bb") == ["quiet:1:10:bb"]
    assert found("quiet:1:9") == ["quiet:1:9:aa"]
    for unknown in ("quiet", "quiet:2", "quiet:1:1", "", "quiet:1:9:aa:x", "../x:1"):
        with pytest.raises(InvalidInput, match="no finished local build"):
            earlier_builds.find(roots, unknown)


def test_the_rpms_of_an_earlier_build_are_taken_up_once(tmp_path: Path) -> None:
    _save(tmp_path / "old", "quiet:1:9:aa")
    old = earlier_builds.repository(tmp_path / "old", "module-old")
    old.mkdir(parents=True)
    (old / "a.rpm").write_text("rpm")
    (old.parent / "final" / "a-1-1").mkdir(parents=True)
    (old.parent / "final" / "a-1-1" / "a.rpm").write_text("rpm")
    (old.parent / "views").mkdir()
    (earlier,) = earlier_builds.find((tmp_path,), "quiet:1")
    for _ in range(2):
        earlier_builds.take(earlier, tmp_path / "new")
    new = earlier_builds.repository(tmp_path / "new", "module-old")
    assert (new / "a.rpm").read_text() == "rpm"
    assert sorted(path.name for path in new.parent.iterdir()) == ["final", "repo"]
    assert [path.name for path in new.parent.parent.iterdir()] == ["module-old"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--file", "x.yaml", "folder"], "not both"),
        (["--file", "x.yaml", "--uncommitted"], "leave --uncommitted out"),
        (["--offline", "--modules-from", "https://mbs.example.com"], "exclude each other"),
        (["--arch", "vax"], f"builds for {platform.machine()}, not for 'vax'"),
        (["--srpm", "one"], "one is not a source RPM"),
        (["-s", "one"], "NAME:STREAM"),
        (["nowhere-at-all"], "There is no 'nowhere-at-all'"),
    ],
)
def test_wrong_usage_exits_with_2(given: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["local", *given])
    assert said in done.output
    assert done.exit_code == 2


def test_without_the_extra_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["local"])
    assert "pip install 'mbs[local]'" in done.output
    assert done.exit_code == 3


def test_programs_that_are_missing_are_named(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Missing, match="No Redis server"):
        run.build_locally(request(checkout), say=print, progress=StringIO(), roots=(tmp_path / "runs",))
    with pytest.raises(Missing, match="git is not installed"):
        find_source(str(checkout))


def test_a_source_has_documents(checkout: Path) -> None:
    source: Source = find_source(str(checkout))
    (document,) = source.documents()
    assert (document.name, document.stream) == ("quiet", "1.10")


@pytest.mark.parametrize("content", [b"\xff", b"a: [", b"document: modulemd\n"])
def test_what_is_no_module_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(MBSError):
        read_module(request(path, stream="1"))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["-q", "build", "-s", "x"], ["build", "--verbosity", "0", "-s", "x"]),
        (["-v", "build"], ["build", "--verbosity", "2"]),
        (["--debug", "build"], ["build", "--verbosity", "3"]),
        (["build", "-v", "1"], ["build", "-v", "1"]),
        (["--help"], ["--help"]),
        ([], []),
    ],
)
def test_options_before_the_command_are_the_commands(given: list[str], meant: list[str]) -> None:
    assert arguments(["mbs-manager", *given]) == ["mbs-manager", *meant]
