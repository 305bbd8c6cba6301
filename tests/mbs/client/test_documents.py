"""The client's commands that check modulemd documents."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from mbs.client.documents import commands
from tests.mbs.modulemd.mutants import DATA

group = click.Group(commands={str(command.name): command for command in commands})


def run(*args: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(group, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A valid document between two invalid ones."""
    path = tmp_path / "bad.yaml"
    valid = (DATA / "packager_v3.yaml").read_text()
    path.write_text("document: modulemd\nversion: 2\ndata: {}\n" + valid + "---\n- 1\n")
    return path


def test_valid_documents_get_a_line_each() -> None:
    result = run("validate", "--strict", DATA / "others.yaml", DATA / "stream_v2.yaml")
    assert result.exit_code == 0
    assert [line.split(": ", 1)[1] for line in result.stdout.splitlines()] == [
        "ok: modulemd-defaults 1 bakery:1.10",
        "ok: modulemd-obsoletes 1 bakery:old",
        "ok: modulemd-translations 1 bakery:old",
        "ok: modulemd 2 bakery:1.10",
    ]


def test_problems_are_shown_with_file_and_line(bad: Path) -> None:
    result = run("validate", bad)
    assert result.exit_code == 1
    assert f"{bad}:3: error: data has no summary. [missing_key]\n" in result.stdout
    assert f"{bad}:4: ok: modulemd-packager 3 bakery:2\n" in result.stdout
    assert "A document must be a mapping. [invalid_type]" in result.stdout


def test_an_unknown_key_is_invalid_unless_lenient(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text((DATA / "stream_v1.yaml").read_text() + "  colour: brown\n")
    assert run("validate", "--lenient", path).exit_code == 0
    result = run("validate", path)
    assert result.exit_code == 1
    assert "'colour' is not a key of data." in result.stdout


def test_names_that_a_submission_refuses_are_invalid_unless_lenient(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    text = (DATA / "stream_v2.yaml").read_text()
    path.write_text(text.replace("whitelist: [bread,", "whitelist: ['bread;rm',"))
    assert path.read_text() != text
    line = path.read_text().partition("bread;rm")[0].count("\n") + 1
    assert run("validate", "--lenient", path).exit_code == 0
    result = run("validate", path)
    assert result.exit_code == 1
    assert f"{path}:{line}: error: data.buildopts.rpms.whitelist" in result.stdout
    path.write_text(path.read_text().replace("data:\n", "data:\n  colour: brown\n", 1))
    both = run("validate", path).stdout
    assert f"{path}:{line + 1}: error: data.buildopts.rpms.whitelist" in both
    assert "'colour' is not a key of data." in both


def test_json_is_one_list_for_all_files(bad: Path) -> None:
    result = run("validate", "--json", bad, DATA / "stream_v2.yaml")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)
    assert first["file"] == str(bad)
    assert [document["ok"] for document in first["documents"]] == [False, True, False]
    error = first["documents"][2]["errors"][0]
    assert set(error) == {"code", "line", "key", "message"}
    assert second["documents"] == [
        {
            "index": 0,
            "document": "modulemd",
            "version": 2,
            "name": "bakery",
            "stream": "1.10",
            "ok": True,
            "errors": [],
        }
    ]


def test_a_file_that_cannot_be_read_is_exit_code_2_and_the_others_are_read(bad: Path, tmp_path: Path) -> None:
    result = run("validate", tmp_path / "nothing", tmp_path, bad)
    assert result.exit_code == 2
    assert "cannot be read: No such file or directory" in result.stderr
    assert "ok: modulemd-packager" in result.stdout


def test_an_endless_file_is_too_large() -> None:
    result = run("validate", "/dev/zero")
    assert result.exit_code == 1
    assert "[too_large]" in result.stdout


def test_the_standard_input_is_a_file_too() -> None:
    assert run("validate", "-", stdin=(DATA / "stream_v1.yaml").read_bytes()).exit_code == 0


def test_upgrade_prints_every_valid_stream_in_order(bad: Path) -> None:
    result = run("upgrade", bad)
    assert result.exit_code == 1
    printed = list(yaml.safe_load_all(result.stdout))
    assert [(each["version"], each["data"]["context"]) for each in printed] == [(2, "GAS1"), (2, "ELECTRIC")]
    assert f"{bad}:3: error: data has no summary." in result.stderr


def test_upgrade_passes_over_what_is_no_stream() -> None:
    result = run("upgrade", DATA / "others.yaml")
    assert (result.exit_code, result.stdout) == (0, "")


def test_upgrade_of_a_missing_file(tmp_path: Path) -> None:
    assert run("upgrade", tmp_path / "nothing").exit_code == 2
