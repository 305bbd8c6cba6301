#!/usr/bin/env python3
"""Measure stream expansion with module builds in memory or in PostgreSQL.

    python benchmarks/expansion.py [--repeat N] [--database] [--root DIR [--reference FILE]] [CASE...]

Without --root, generated module builds are used. With --root, they are read from DIR/CASE/available/*.yaml
and DIR/CASE/input.yaml, and --reference is a file with JSON lines ("case", "results") of another
implementation to compare with. With --database, the module builds are stored in PostgreSQL, which the
benchmark starts, and SQL is the number of statements of one expansion. For each case, the number of builds
found, the median time of one expansion, and the number of calls of universe and solver are printed. The exit
code is 1 if a result, a time or a number of statements is wrong.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import stored
from mbs.expansion import Available, Expansion, MemoryUniverse, available, expand
from mbs.modulemd import Dependencies, StreamV2, parse_stream

BASE = "f30"
Made = tuple[StreamV2, list[Available]]


def base(stream: str) -> Available:
    """Return a base module."""
    return Available("platform", stream, 1, f"p{stream}", koji_tag=f"module-{stream}-build", ref="virtual")


def module(name: str, stream: str, **requires: list[str]) -> Available:
    """Return a module that was built against the base module."""
    return Available(
        name, stream, 1, f"c{stream}", ({**requires, "platform": [BASE]},), {"platform": BASE}, ref="commit"
    )


def document(platforms: list[str], **buildrequires: list[str]) -> StreamV2:
    """Return the document to expand."""
    streams = {"platform": platforms, **buildrequires}
    return StreamV2(name="app", stream="1", version=1, dependencies=[Dependencies(streams, dict(streams))])


def numbers(count: int) -> list[str]:
    """Return the numbers from 1 as texts."""
    return [str(number + 1) for number in range(count)]


def two_bases() -> Made:
    """Return a document for two base streams."""
    return document(["f29", BASE]), [base("f29"), base(BASE)]


def three_modules(bound: int) -> Made:
    """Return three modules of 4 streams.

    Args:
        bound: Number of modules whose streams require the stream of ``lib`` with the same number.
    """
    streams, names = numbers(4), ["dep0", "dep1", "dep2"]
    found = [base(BASE), *(module("lib", stream) for stream in streams)]
    for place, name in enumerate(names):
        for stream in streams:
            found.append(module(name, stream, **({"lib": [stream]} if place < bound else {})))
    return document([BASE], **dict.fromkeys(names, streams)), found


def wide() -> Made:
    """Return a module that requires 20 others in any of 5 streams."""
    names, streams = [f"m{number:02}" for number in range(20)], numbers(5)
    found = [module(name, stream) for name in names for stream in streams]
    return document([BASE], top=["1"]), [
        base(BASE),
        *found,
        module("top", "1", **dict.fromkeys(names, streams)),
    ]


def deep(layers: int, every: bool) -> Made:
    """Return layers of modules with 5 streams.

    Args:
        every: Whether each requires every stream of the next layer, or only that of its number.
    """
    streams, found = numbers(5), [base(BASE)]
    for layer in range(layers):
        for stream in streams:
            below = {f"m{layer + 1:02}": streams if every else [stream]} if layer + 1 < layers else {}
            found.append(module(f"m{layer:02}", stream, **below))
    return document([BASE], m00=streams), found


def cycle() -> Made:
    """Return two modules that require each other."""
    return document([BASE], aa=["1"]), [base(BASE), module("aa", "1", bb=["1"]), module("bb", "1", aa=["1"])]


@dataclass(frozen=True)
class Case:
    """A case of the benchmark.

    Attributes:
        builds: Expected number of builds.
        limit: Max milliseconds.
        sql: Max statements.
    """

    make: Callable[[], Made]
    builds: int
    limit: float
    sql: int


CASES = {
    "plain2": Case(two_bases, 2, 15, 6),
    "b64": Case(lambda: three_modules(0), 64, 250, 10),
    "b16": Case(lambda: three_modules(2), 16, 100, 10),
    "b4": Case(lambda: three_modules(3), 4, 100, 10),
    "flat20x5": Case(wide, 1, 200, 30),
    "chain20x5": Case(lambda: deep(20, every=False), 5, 200, 50),
    "mesh3": Case(lambda: deep(3, every=True), 5, 200, 30),
    "mesh4": Case(lambda: deep(4, every=True), 5, 200, 30),
    "mesh10": Case(lambda: deep(10, every=True), 5, 1000, 30),
    "cycle": Case(cycle, 1, 100, 10),
}


def read(folder: Path) -> Made:
    """Read a case from a folder."""
    texts = (file.read_bytes() for file in sorted((folder / "available").glob("*.yaml")))
    known = [available(parse_stream(text, strict=False)) for text in texts]
    return parse_stream((folder / "input.yaml").read_bytes(), strict=False), known


def results(found: Expansion) -> list[dict[str, Any]]:
    """Return the results in the form of the other implementation."""
    return sorted((build.as_dict() for build in found.builds), key=lambda build: build["context"])


def references(file: Path | None) -> dict[str, Any]:
    """Return case -> results of the other implementation, for the cases that it completed."""
    lines = map(json.loads, file.read_text().splitlines()) if file else ()
    return {line["case"]: line["results"] for line in lines if not line.get("error")}


def asked(universe: MemoryUniverse | stored.Counting) -> int:
    """Return the number of calls or statements of a universe so far."""
    return universe.statements if isinstance(universe, stored.Counting) else sum(universe.calls.values())


def measure(name: str, options: argparse.Namespace, expected: Any) -> bool:
    """Print one row of the table; return whether the results are as expected."""
    case = CASES[name]
    wanted, known = read(options.root / name) if options.root else case.make()
    universe = stored.store(known) if options.database else MemoryUniverse(known)
    times = []
    for _ in range(options.repeat):
        before = asked(universe)
        started = time.perf_counter()
        found = expand(wanted, universe)
        times.append((time.perf_counter() - started) * 1000)
        questions = asked(universe) - before
    wall = statistics.median(times)
    equal = expected is None or results(found) == expected
    good = equal and len(found.builds) == case.builds and wall < case.limit
    good = good and (not options.database or questions <= case.sql)
    verdict = ("equal to the reference" if expected is not None else "ok") if good else "WRONG"
    print(
        f"{name:10} {len(found.builds):6} {case.builds:8} {wall:9.1f} {case.limit:9.0f} "
        f"{questions:7} {found.solves:7}  {verdict}"
    )
    return good


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", choices=[[], *CASES], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repeat", type=int, default=7, metavar="N", help="runs of each case (7)")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder with the universes")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="JSON lines to compare with")
    parser.add_argument(
        "--database", action="store_true", help="use PostgreSQL, which is started for the benchmark"
    )
    options = parser.parse_args()
    expected = references(options.reference)
    print("$", " ".join(["python", *sys.argv]))
    print(
        f"{'case':10} builds expected   wall ms  limit ms {'SQL' if options.database else 'calls':>7}  solves"
    )
    with stored.database() if options.database else nullcontext():
        verdicts = [measure(name, options, expected.get(name)) for name in options.case or CASES]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
