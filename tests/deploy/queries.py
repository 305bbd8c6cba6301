"""The queries of the alert rules and of the dashboard in ``deploy``, and their metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus-rules.yml"
DASHBOARD = DEPLOY / "grafana-dashboard.json"
#: Prometheus makes this metric.
OWN = {"up"}


def of_rules() -> list[str]:
    """Return the queries of the alert rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def of_dashboard() -> list[str]:
    """Return the queries of the dashboard."""
    return list(_expressions(json.loads(DASHBOARD.read_text())))


def _expressions(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "expr" in part:
            yield part["expr"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _expressions(each)


def metrics(query: str) -> set[str]:
    """Return the metrics in a query: words that are no functions, keywords, labels, texts or durations."""
    query = re.sub(r'"[^"]*"', "", query)
    query = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", query)
    query = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", query)
    words = re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", query)
    return set(words) - {"and", "or", "unless", "sum", "max", "min", "topk"} - OWN
