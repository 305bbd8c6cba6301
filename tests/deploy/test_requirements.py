"""Dependencies: locked by version and hash, with licences that are compatible."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import PackagePath, files, metadata
from pathlib import Path

import pytest

from tests.deploy.requirements import FOLDER, LOCKED, differences, locked

#: Words of licences that ask for nothing but notices.
PERMISSIVE = re.compile(r"\b(MIT|BSD|0BSD|ISC|Apache|PSFL?|Python Software Foundation|ZPL|Unlicense|Zlib)\b")
#: Words of licences that ask for the source of what is made with them, or restrict its use.
RESTRICTED = re.compile(
    r"\b\w*GPL|GNU|\bMPL|Mozilla|\bE[UP]PL|\bCDDL|\bEPL|\bSSPL|\bBUSL|\bCC-BY|Commons|Proprietary|\bRSAL",
    re.I,
)
#: Packages with other licences, and why each may be used. Nothing else that is copyleft comes in.
ALLOWED = {
    "fedora-messaging": "GPL-2.0-or-later: the client of the bus that was asked for by name",
    "koji": "LGPL-2.1 (client library): the client of the build system that was asked for by name",
    "psycopg2-binary": "LGPL with exceptions: the database driver that was asked for by name",
    "certifi": "MPL-2.0: only imported, by HTTP clients, unchanged",
    "ldap3": "LGPL-3.0: only imported, unchanged",
    "norpm": "LGPL-2.1-or-later: only imported, in a process of its own, unchanged",
    "orjson": "MPL-2.0 with Apache-2.0 or MIT: only imported, unchanged",
    "hypothesis": "MPL-2.0: for tests, not part of an installation",
    "pathspec": "MPL-2.0: for mypy, not part of an installation",
    "docutils": "public domain and BSD, an editor mode GPL: for the documents, not part of an installation",
}
DEVELOPMENT_ONLY = {"hypothesis", "pathspec", "docutils"}


def here(name: str) -> list[str]:
    """The packages of a locked set that are installed on this kind of machine."""
    pins = locked(name)
    return [each for each, pin in pins.items() if not (mark := pin.requirement.marker) or mark.evaluate()]


def licences(package: str) -> list[str]:
    """What a package says about its licence; of several places where it may say so, the most exact one."""
    about = metadata(package)
    if expression := about.get("License-Expression"):
        return [expression]
    kinds = [each for each in about.get_all("Classifier") or [] if each.startswith("License :: ")]
    stated = (about.get("License") or "").strip().splitlines()[:1]
    return [*kinds, *stated] or [title for title in map(_title, files(package) or ()) if title]


def _title(file: PackagePath) -> str:
    """Return the first line of a file with a licence, or "" for other files."""
    return file.read_text().strip().partition("\n")[0] if file.name == "LICENSE" else ""


@pytest.mark.parametrize("name", LOCKED)
def test_each_input_is_what_was_locked(name: str) -> None:
    assert differences(name) == [], "run make lock"


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("redis==", "redis==9.", "base.txt has redis=="),
        ("redis==", "valkey==", "base.txt lacks valkey=="),
        ("flower==", "# flower==", "server.in has no flower any more"),
    ],
)
def test_an_input_that_changed_without_its_lock_is_noticed(
    tmp_path: Path, before: str, after: str, fault: str
) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "server.in"
    path.write_text(re.sub(f"(?m)^{before}", after, path.read_text()))
    assert any(said.startswith(fault) for said in differences("base", tmp_path))


@pytest.mark.parametrize("name", LOCKED)
def test_locked_sets_name_one_version_by_its_hashes_and_no_address(name: str) -> None:
    for pin in locked(name).values():
        [specifier] = pin.requirement.specifier
        assert specifier.operator == "=="
        assert pin.hashes
        assert pin.requirement.url is None
    text = (FOLDER / f"{name}.txt").read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_all_locked_sets_are_parts_of_the_largest() -> None:
    largest = locked("dev")
    for name in LOCKED:
        for package, pin in locked(name).items():
            assert pin.requirement.specifier == largest[package].requirement.specifier, package


@pytest.mark.parametrize("package", here("dev"))
def test_licences_are_permissive_or_allowed_by_name(package: str) -> None:
    said = licences(package)
    assert said, f"{package} names no licence"
    if package not in ALLOWED:
        assert not [each for each in said if RESTRICTED.search(each)]
        assert any(PERMISSIVE.search(each) for each in said), said


def test_packages_allowed_by_name_are_installed_and_needed() -> None:
    largest = here("dev")
    for package in ALLOWED:
        assert package in largest
        assert any(RESTRICTED.search(each) for each in licences(package)), package
    assert not DEVELOPMENT_ONLY & set(locked("prod"))
