"""Expansion of hostile documents does not crash libsolv."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
_PROGRAM = """
from mbs.expansion import Available, Settings
from mbs.expansion.solver import Solver
needs = {f"m{number}": ["1"] for number in range(150_000)}
app = Available("app", "1", 1, "c", {requires})
print(Solver([app], Settings()).install([("app", "1")]))
"""


@pytest.mark.parametrize(
    "requires",
    ['(needs, {"x": ["1"]})', 'tuple({name: ["1"]} for name in list(needs)[:50_000])'],
    ids=["many requirements in several lists", "many lists"],
)
def test_a_module_of_many_requirements_does_not_crash_libsolv(requires: str) -> None:
    # In a process of its own: what is tested for is that it does not crash.
    program = _PROGRAM.replace("{requires}", requires)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HERE, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr[-500:]
