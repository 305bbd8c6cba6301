"""Find earlier local builds, and copy their repositories into a new run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbs.client.local import earlier_builds
from mbs.errors import InvalidInput
from mbs.nsvc import NSVC
from tests.mbs.client.local.documents import TEXT


def _save(folder: Path, nsvc: str) -> None:
    folder.mkdir(parents=True)
    earlier_builds.save(folder, NSVC(*nsvc.split(":")), TEXT, f"module-{folder.name}")


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
        return sorted(str(each.nsvc) for each in earlier_builds.find(roots, wanted))

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
