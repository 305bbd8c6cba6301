"""Where local builds find required modules."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mbs.client.cli import main
from mbs.client.local.beginning import required
from mbs.client.local.run import LocalBuildRequest, with_places
from mbs.client.local.supply import supplier
from mbs.client.rest import Refused
from mbs.errors import Problem
from mbs.nsvc import NSVC


def test_required_modules_are_those_of_all_planned_builds_without_base_modules() -> None:
    planned = [
        {"nsvc": "quiet:1:9:c1", "buildrequires": {"platform": "el9:1:0", "perl": "5.30:7:c0"}},
        {"nsvc": "quiet:1:9:c2", "buildrequires": {"platform": "el10:1:0", "perl": "5.32:8:c0"}},
        {"nsvc": "quiet:1:9:c3", "buildrequires": {"perl": "5.30:7:c0", "quiet": "1:9:c1"}},
        {"nsvc": "quiet:1:9:c4", "buildrequires": None},
    ]
    assert required(planned) == [NSVC("perl", "5.30", "7", "c0"), NSVC("perl", "5.32", "8", "c0")]


def test_modules_that_are_there_are_not_looked_for(tmp_path: Path) -> None:
    nsvc = NSVC("perl", "5.30", "7", "c0")
    said: list[str] = []
    supplier(tmp_path, said.append)([nsvc])
    # A request to this address would fail.
    supplier(tmp_path, said.append, modules_from="http://127.0.0.1:1", present={nsvc})([nsvc])
    assert said == []


@pytest.mark.parametrize(("more", "hinted"), [({}, True), ({"offline": True}, False)])
def test_a_missing_module_hints_at_other_places(more: dict[str, bool], hinted: bool) -> None:
    problem = Problem("no_build", "There is no perl.", key="data.dependencies[0]")
    refused = Refused(422, "No combination.", hint="Build it.", problems=[problem])
    error = with_places(refused, LocalBuildRequest(**more))
    assert ("--server" in error.hint) is hinted
    assert error.hint.startswith("Build it.")


@pytest.mark.parametrize(
    "given",
    [
        ["--server", "https://mbs.example.com", "local", "--offline"],
        ["local", "--dnf", "--offline"],
        ["local", "--server", "https://mbs.example.com", "--dnf"],
    ],
)
def test_modules_come_from_one_place(given: list[str]) -> None:
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 2
    assert "exclude each other" in done.output
