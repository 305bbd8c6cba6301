"""The wheel of the client, installed with its own dependencies only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.mbs.client.fake_server import FakeServer, module_build

Done = subprocess.CompletedProcess[str]

SOURCE = Path(__file__).resolve().parents[2]
PACKAGES = ("mbs", "scm", "buildsys", "builds", "config")
FILES = ("pyproject.toml", "README.md", "manage.py", "celeryconfig.py")


def needed(requirements: Iterable[str]) -> set[str]:
    """Return the names of the packages that these requirements bring, on this kind of machine."""
    names: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in names:
            names.add(requirement.name)
            waiting += map(Requirement, distribution(requirement.name).requires or ())
    return names


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel's content and the packages that it depends on, and nothing else."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(SOURCE / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SOURCE / "requirements", source / "requirements")
    for file in FILES:
        shutil.copy(SOURCE / file, source)
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, *offline, "--target", folder, source], check=True, timeout=300)
    [metadata] = folder.glob("mbs-*.dist-info/METADATA")
    requirements = re.findall(r"(?m)^Requires-Dist: (.*)$", metadata.read_text())
    for name in needed(text for text in requirements if "extra ==" not in text):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


def run(folder: Path, *args: str, code: str = "import mbs.client.cli as c; c.main(prog_name='mbs')") -> Done:
    return subprocess.run(
        [sys.executable, "-S", "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "HOME": str(folder)},
    )


def test_it_talks_to_a_server(installed: Path, server: FakeServer) -> None:
    server.add(module_build(7, "ready"))
    done = run(installed, "--help")
    assert done.returncode == 0, done.stderr
    done = run(installed, "list", "--server", server.url)
    assert done.returncode == 0, done.stderr
    assert "quiet:1" in done.stdout


@pytest.mark.parametrize("command", ["up", "demo"])
def test_commands_that_need_the_service_name_what_to_install(installed: Path, command: str) -> None:
    done = run(installed, command)
    assert done.returncode != 0
    assert "pip install '.[server]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_operators_command_names_what_to_install(installed: Path) -> None:
    done = run(installed, "migrate", code="import manage; manage.main()")
    assert done.returncode != 0
    assert "pip install '.[server]'" in done.stderr
    assert "Traceback" not in done.stderr
