"""The command ``mbs-manager config``."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.documentation import page
from config.schema import Options

ROOT = Path(__file__).parent.parent.parent


def _config(*arguments: str) -> str:
    out = StringIO()
    call_command("config", *arguments, stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def production(load_with, settings):
    settings.MBS_LOADED = load_with(
        "BROKER_URL = 'redis://:hunter2@h/0'\nHOST = 'x'", MBS_NUM_CONCURRENT_BUILDS="9"
    )
    return settings.MBS_LOADED


def test_every_option_is_printed_with_value_meaning_and_source(production):
    text = _config()
    assert text.startswith(f"Section prod of {production.path}\n")
    assert "NUM_CONCURRENT_BUILDS = 9\n    Components that build at the same time" in text
    assert "[environment MBS_NUM_CONCURRENT_BUILDS]" in text
    assert f"[{production.path} ProdConfiguration]" in text
    assert "Warning: HOST" in text
    assert set(re.findall(r"^([A-Z_]+) = ", text, re.M)) == set(Options.model_fields)


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_secrets_are_masked(production, arguments):
    text = _config(*arguments)
    assert "hunter2" not in text
    assert "a key" not in text
    assert "redis://:********@h/0" in text


def test_json_is_for_programs(production):
    answer = json.loads(_config("--json"))
    assert (answer["section"], answer["path"]) == ("prod", production.path)
    assert answer["options"].keys() == Options.model_fields.keys()
    assert answer["options"]["NUM_CONCURRENT_BUILDS"] == {
        "value": 9,
        "source": "environment MBS_NUM_CONCURRENT_BUILDS",
        "default": 5,
        "required": False,
        "type": "int >= 0",
        "group": "Workflow",
        "meaning": "Components that build at the same time, over all modules; 0: no limit.",
    }


def test_single_options_can_be_asked_for():
    text = _config("scmurls", "ARCHES")
    assert re.findall(r"^([A-Z_]+) = ", text, re.M) == ["SCMURLS", "ARCHES"]


def test_an_unknown_option_is_an_error():
    with pytest.raises(CommandError, match=r"no option SCMURL\. Did you mean SCMURLS"):
        _config("scmurl")


def test_the_documentation_is_up_to_date():
    assert (ROOT / "docs" / "configuration.md").read_text() == page() == _config("--defaults"), (
        "run: mbs-manager config --defaults > docs/configuration.md"
    )


def test_the_documentation_does_not_depend_on_the_machine():
    assert str(ROOT) not in page()
