"""Documents and headings that code and other documents cite exist."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from buildsys.local.sandbox import Limits
from buildsys.registry import build_limits
from config.schema import Options
from tests.processes import ROOT

CITED = re.compile(r'(?P<path>docs/[\w./-]+\.md)(?:, (?P<headings>"[^"\n]+"(?:,? (?:and )?"[^"\n]+")*))?')
LINK = re.compile(r"\]\((?!https?:|#)(?P<path>[^)#\s]+)(?:#[^)]*)?\)")
PACKAGES = ("mbs", "scm", "buildsys", "builds", "config", "messages", "benchmarks", "tests")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]


def headings(path: Path) -> set[str]:
    """Return the headings of a document, without the signs around them."""
    return {line.strip("# ") for line in path.read_text("utf-8").splitlines() if line.startswith("#")}


def test_code_cites_documents_and_headings_that_exist() -> None:
    cited, missing = 0, []
    for source in SOURCES:
        for match in CITED.finditer(source.read_text("utf-8")):
            document = ROOT / match["path"]
            cited += 1
            known = headings(document) if document.exists() else set()
            for heading in re.findall(r'"([^"]+)"', match["headings"] or ""):
                if heading not in known:
                    missing.append(f'{source.relative_to(ROOT)}: {match["path"]}, "{heading}"')
            if not document.exists():
                missing.append(f"{source.relative_to(ROOT)}: {match['path']}")
    assert cited > 30
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = [match["path"] for match in LINK.finditer(document.read_text("utf-8"))]
    made = {"errors.md", "command-line.md", "states.md"}
    broken = [link for link in links if not (document.parent / link).exists() and Path(link).name not in made]
    assert broken == []


def test_the_page_of_errors_lists_codes_wherever_they_are_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    page = importlib.import_module("reference").errors()
    given, of_class, of_problem, chosen = "missing_scmurl", "no_such_log", "alias", "worker_lost"
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert listed >= {given, of_class, of_problem, chosen}
    assert "| `koji_permission_missing` | ... lacks the permission ..., for .... | Run as an admin:" in page


def test_every_limit_of_local_builds_is_an_option_that_their_page_names() -> None:
    page = (ROOT / "docs/local-builds.md").read_text("utf-8")
    names = [name for name in Options.model_fields if name.startswith("LOCAL_BUILD_")]
    assert [name for name in names if f"`{name}`" not in page] == []
    others = {name: ("/opt",) if name.endswith("_SHOWS") else 12_345 for name in names}
    usual, changed = Limits(), build_limits(SimpleNamespace(**others))
    same = [each.name for each in fields(Limits) if getattr(usual, each.name) == getattr(changed, each.name)]
    assert same == []
