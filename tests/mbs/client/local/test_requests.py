"""Requests for local builds: streams, platforms, changes of documents, folders, options of the command.

``test_building.py`` builds for real.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mbs.client.cli import main
from mbs.client.local import run
from mbs.client.local.editing import SKIP_CHECKS, Changes, edit
from mbs.client.local.plan import choices, overrides, platforms
from mbs.client.local.run import LocalBuildRequest, read_module
from mbs.client.local.source import find_source
from mbs.client.up import needs
from mbs.client.up.needs import Missing
from mbs.client.up.platform import HostPlatform
from mbs.errors import InvalidInput, MBSError
from mbs.modulemd.parsing import parse_streams
from tests.gitrepos import make_repo
from tests.mbs.client.local.documents import TEXT


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "host_platform", lambda: HostPlatform("el9", "A system"))


def request(source: Path, **more: object) -> LocalBuildRequest:
    return LocalBuildRequest(str(source), **more)


@pytest.mark.parametrize("name", ["a b", "--upload-pack=x", "%41#?", "line\nbreak", "é\u202e", "$(touch x)"])
def test_a_checkout_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    make_repo(folder, {"quiet.yaml": TEXT, "other\n.txt": "x"}, branch="odd/branch")
    module = read_module(request(folder, stream="1"))
    assert (module.name, module.stream, module.branch) == ("quiet", "1", "1")
    assert module.source.origin.isprintable()


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


def test_an_unknown_stream_is_asked_for(file: Callable[[str], Path]) -> None:
    with pytest.raises(InvalidInput, match="stream of the module is unknown"):
        read_module(request(file("[f40]")))
    assert read_module(request(file("[f40]")), lambda name, streams: "7").stream == "7"
    with pytest.raises(InvalidInput, match="not allowed"):
        read_module(request(file("[f40]"), stream="a/b"))


@pytest.mark.parametrize("streams", ["[]", "[-f28]"])
def test_an_unnamed_platform_is_this_machine(file: Callable[[str], Path], streams: str) -> None:
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
    assert "pip install '.[local]'" in done.output
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


@pytest.mark.parametrize("content", [b"\xff", b"a: [", b"document: modulemd\n"])
def test_invalid_documents_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(MBSError):
        read_module(request(path, stream="1"))
