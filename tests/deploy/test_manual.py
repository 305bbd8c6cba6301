"""The manual pages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click
import pytest

from mbs.client.cli import main

PAGES = Path(__file__).resolve().parents[2] / "docs" / "man" / "pages.py"


def write(folder: Path) -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("manual_pages", PAGES)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # dataclasses look it up
        spec.loader.exec_module(module)
    return {f"{page.name}.{page.section}": page.text for page in module.write(folder)}


def names(command: click.Command, name: str) -> list[str]:
    children = command.commands if isinstance(command, click.Group) else {}
    return [name, *(each for key, child in children.items() for each in names(child, f"{name}-{key}"))]


def test_each_command_has_a_page_with_its_options_and_exit_codes(tmp_path: Path) -> None:
    pages = write(tmp_path)
    assert {*pages} == {*(f"{name}.1" for name in names(main, "mbs")), "mbs-manager.8"}
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.rst" for name in pages}
    watch = pages["mbs-watch.1"]
    assert "``--plain``\n    Print lines instead of using the full screen." in watch
    assert "Exit status\n-----------\n\n``0``\n    success" in watch
    assert "**mbs-watch**\\(1)" in pages["mbs.1"]
    assert "``doctor``\n    Check database" in pages["mbs-manager.8"]


def test_characters_of_the_texts_are_not_interpreted(tmp_path: Path) -> None:
    assert "contain \\* and ?" in write(tmp_path)["mbs-list.1"]
