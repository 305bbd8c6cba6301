"""Statistics of a run: faults by kind, recovery, runs of tasks, messages, queues."""

from __future__ import annotations

import re
import statistics
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.servers import Postgres

_TASK_ENDED = re.compile(r"Task ([\w.]+)\[\S+\] (?:succeeded|ignored|retry|raised)")
_CHANGES = """
    SELECT module_build_id, extract(epoch FROM time), state FROM builds_modulebuildtrace
    UNION ALL
    SELECT component_build.module_build_id, extract(epoch FROM trace.time), NULL
    FROM builds_componentbuildtrace trace JOIN builds_componentbuild component_build
    ON component_build.id = trace.component_build_id
"""
#: States of module builds that must change soon: init, wait, build, done.
_UNDER_WAY = (0, 1, 2, 3)


def task_runs(logs: Path) -> Counter[str]:
    """Return how often each task ran, according to the logs of the workers."""
    found: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        found.update(_TASK_ENDED.findall(path.read_text(errors="replace")))
    return found


def tracebacks(logs: Path) -> Counter[str]:
    """Return the last lines of all tracebacks in the logs, with their number."""
    found: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        inside = False
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("Traceback"):
                inside = True
            elif inside and line and not line.startswith((" ", "\t")):
                inside = False
                found[f"{path.stem}: {line[:110]}"] += 1
    return found


def recovery(postgres: Postgres, faults: Iterable[Fault]) -> dict[str, dict[str, float]]:
    """Return for each kind of fault the seconds from its end until every build has changed.

    Returns:
        Kind -> number of faults, and median and maximum for the slowest build.
    """
    changes: dict[int, list[float]] = defaultdict(list)
    states: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for build, moment, state in postgres.query(_CHANGES):
        changes[build].append(float(moment))
        if state is not None:
            states[build].append((float(moment), state))
    for rows in (*changes.values(), *states.values()):
        rows.sort()
    worst: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        if fault.happened:
            gaps = [_gap(changes[build], rows, fault.end) for build, rows in states.items()]
            worst[fault.kind].append(max(gaps, default=0.0))
    return {
        kind: {"faults": len(all_), "median": statistics.median(all_), "worst": max(all_)}
        for kind, all_ in sorted(worst.items())
    }


def _gap(changes: Sequence[float], states: Sequence[tuple[float, int]], moment: float) -> float:
    """Return the seconds until the next change of a build that was under way at a time, or 0."""
    before = bisect_right(states, (moment, 99))
    if not before or states[before - 1][1] not in _UNDER_WAY:
        return 0.0
    after = bisect_right(changes, moment)
    return changes[after] - moment if after < len(changes) else 0.0


def lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the report as lines of text."""
    shown = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            shown.append(f"{name}:")
            shown += [f"    {key}: {_shown(item)}" for key, item in value.items()]
        else:
            shown.append(f"{name}: {_shown(value)}")
    return shown


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    return f"{value:.1f}" if isinstance(value, float) else str(value)
