"""The plan of a local build, from a file and the user's options; ``tests/rpkg`` tests real builds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from manage import arguments
from mbs.client.local import earlier_builds
from mbs.client.local.plan import SKIP_CHECKS, LocalBuildRequest, choices, host_platform, make_plan
from mbs.errors import InvalidInput, MBSError

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
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """A module file that buildrequires these streams of the platform."""

    def write(platform: str) -> Path:
        path = tmp_path / "quiet.yaml"
        path.write_text(MODULEMD.format(platform=platform))
        return path

    return write


def test_the_name_of_the_file_names_the_module(file: Callable[[str], Path]) -> None:
    plan = make_plan(LocalBuildRequest(file("[f40]"), stream="1.10"), host="el9")
    assert (plan.name, plan.stream, plan.platforms) == ("quiet", "1.10", ("f40",))
    assert plan.body["module_name"] == "quiet"
    assert plan.body["module_stream"] == "1.10"
    assert "buildrequire_overrides" not in plan.body


def test_the_name_in_the_file_wins_over_its_own_and_the_stream_that_was_asked_for_over_both(
    file: Callable[[str], Path],
) -> None:
    path = file("[f40]")
    path.write_text(path.read_text().replace("data:\n", "data:\n  name: own\n  stream: '2'\n"))
    for stream, built in (("", "2"), ("1.10", "1.10")):
        plan = make_plan(LocalBuildRequest(path, stream=stream), host="el9")
        assert (plan.name, plan.stream, plan.body["module_name"]) == ("own", built, "own")
        assert plan.body.get("module_stream", "") == stream


@pytest.mark.parametrize("platform", ["[]", "[-f28]"])
def test_where_the_platform_is_open_it_is_this_machine(file: Callable[[str], Path], platform: str) -> None:
    assert make_plan(LocalBuildRequest(file(platform), stream="1"), host="el9").platforms == ("el9",)


def test_of_several_platforms_one_must_be_chosen(file: Callable[[str], Path]) -> None:
    with pytest.raises(InvalidInput, match="platform:f39, platform:f40"):
        make_plan(LocalBuildRequest(file("[f40, f39]"), stream="1"), host="el9")
    for request in (
        LocalBuildRequest(file("[f40, f39]"), stream="1", streams={"platform": "f39"}),
        LocalBuildRequest(file("[f40, f39]"), stream="1", platform="platform:f39"),
        LocalBuildRequest(file("[f40, f39]"), stream="1", platform="f39"),
    ):
        plan = make_plan(request, host="el9")
        assert plan.platforms == ("f39",)
        assert plan.body["buildrequire_overrides"] == {"platform": ["f39"]}
        assert plan.body["require_overrides"] == {"platform": ["f39"]}


def test_a_stream_can_be_chosen_of_what_the_module_depends_on_only(file: Callable[[str], Path]) -> None:
    plan = make_plan(LocalBuildRequest(file("[f40]"), stream="1", streams={"perl": "5.30"}), host="el9")
    assert plan.body["buildrequire_overrides"] == {"perl": ["5.30"]}
    with pytest.raises(InvalidInput, match="does not depend on ruby"):
        make_plan(LocalBuildRequest(file("[f40]"), stream="1", streams={"ruby": "3"}), host="el9")
    with pytest.raises(InvalidInput, match="NAME:STREAM"):
        choices(["perl"])


def test_checks_are_skipped_by_a_macro_beside_the_modules_own(file: Callable[[str], Path]) -> None:
    plan = make_plan(LocalBuildRequest(file("[f40]"), stream="1.10", skip_tests=True), host="el9")
    data = yaml.safe_load(plan.body["modulemd"])["data"]
    assert data["buildopts"]["rpms"]["macros"].splitlines() == ["%own 1", SKIP_CHECKS]
    assert data["stream"] == "1.10"


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for content in (b"\xff", b"a: [", b"document: modulemd\n"):
        path.write_bytes(content)
        with pytest.raises(MBSError):
            make_plan(LocalBuildRequest(path, stream="1"), host="el9")
    with pytest.raises(InvalidInput, match="cannot be read"):
        make_plan(LocalBuildRequest(tmp_path, stream="1"), host="el9")


def test_a_machine_says_which_platform_it_is(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('NAME="Fedora"\nPLATFORM_ID="platform:f40"\n')
    assert host_platform(path) == "f40"
    path.write_text('ID=debian\nVERSION_ID="12"\n# comment=1\n')
    assert host_platform(path) == "debian12"
    assert host_platform(tmp_path / "none") == "linux"


def test_earlier_builds_are_found_by_name_and_stream_the_newest_first(tmp_path: Path) -> None:
    document = MODULEMD.format(platform="[f40]")
    for folder, nsvc in (
        ("run1", "quiet:1:9:aa"),
        ("run2", "quiet:1:10:aa"),
        ("run3", "quiet:10:11:aa"),
    ):
        (tmp_path / folder).mkdir()
        earlier_builds.save(tmp_path / folder, nsvc, document, f"module-{folder}")
    assert earlier_builds.find(tmp_path, "quiet:1").nsvc[2] == "10"
    found = earlier_builds.find(tmp_path, "quiet:1:9")
    assert yaml.safe_load(found.document.read_text())["data"]["xmd"]["mbs"]["koji_tag"] == "module-run1"
    for unknown in ("quiet", "quiet:2", "quiet:1:1", "", "quiet:1:9:aa:x", "../x:1"):
        with pytest.raises(InvalidInput, match="no finished local build"):
            earlier_builds.find(tmp_path, unknown)


def test_the_rpms_of_an_earlier_build_are_taken_up(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    earlier_builds.save(tmp_path / "old", "quiet:1:9:aa", MODULEMD.format(platform="[f40]"), "module-tag")
    repository = earlier_builds.repository(tmp_path / "old", "module-tag")
    repository.mkdir(parents=True)
    (repository / "a.rpm").write_text("rpm")
    earlier_builds.copy_repository(earlier_builds.find(tmp_path, "quiet:1"), tmp_path / "new")
    assert (earlier_builds.repository(tmp_path / "new", "module-tag") / "a.rpm").read_text() == "rpm"


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
