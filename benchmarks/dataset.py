"""Module builds for benchmarks: five base modules, and any number of builds with components and traces.

The builds have 100 names with 5 streams each, two contexts for each version, and states like in a service
that has run for years: mostly ready. The same arguments result in the same rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, models
from psycopg2 import extensions

from builds.models import (
    BuildRequirement,
    ComponentBuild,
    ComponentBuildTrace,
    ModuleBuild,
    ModuleBuildTrace,
)
from mbs.nsvc import NSVC
from mbs.states import BuildState, ComponentState

STREAMS = ("f28", "f29", "f30", "f31", "f32")
NAMES = 100
EPOCH = datetime(2019, 1, 1, tzinfo=UTC)
GIT = "https://git.example.com"
#: State -> number of builds in it out of a hundred.
WEIGHTS = {
    BuildState.READY: 70,
    BuildState.FAILED: 15,
    BuildState.BUILD: 5,
    BuildState.GARBAGE: 5,
    BuildState.DONE: 3,
    BuildState.WAIT: 1,
    BuildState.INIT: 1,
}
_LONG = [
    BuildState.INIT,
    BuildState.WAIT,
    BuildState.BUILD,
    BuildState.DONE,
    BuildState.READY,
    BuildState.GARBAGE,
]
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"})


def digest(*parts: object) -> str:
    """Return 40 hexadecimal digits, which are the same for the same parts."""
    return hashlib.sha1(":".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


class Table:
    """Rows of a model that are loaded into PostgreSQL by COPY; missing values are the fields' defaults."""

    def __init__(self, model: type[models.Model]) -> None:
        self.name = model._meta.db_table
        fields = [f for f in model._meta.concrete_fields if f.column != "id" or model is not BuildRequirement]
        self.columns = [field.column for field in fields if not self._own_id(model, field)]
        self.defaults = {f.column: f.get_default() for f in fields if not isinstance(f, models.DateTimeField)}
        self.buffer = io.StringIO()

    @staticmethod
    def _own_id(model: type[models.Model], field: models.Field[Any, Any]) -> bool:
        return field.primary_key and model not in (ModuleBuild, ComponentBuild)

    def add(self, **values: Any) -> None:
        """Add a row."""
        row = (values[c] if c in values else self.defaults.get(c) for c in self.columns)
        self.buffer.write("\t".join(map(_cell, row)) + "\n")
        if self.buffer.tell() > 1 << 24:
            self.flush()

    def flush(self) -> None:
        """Load the rows that were added so far."""
        self.buffer.seek(0)
        with connection.cursor() as cursor:
            columns = ", ".join(f'"{column}"' for column in self.columns)
            bounded = extensions.get_wait_callback()
            # psycopg2 cannot COPY with a wait callback (``config.postgresql``).
            extensions.set_wait_callback(None)
            try:
                cursor.copy_expert(f"COPY {self.name} ({columns}) FROM STDIN", self.buffer)
            finally:
                extensions.set_wait_callback(bounded)
        self.buffer = io.StringIO()


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, dict | list):
        return json.dumps(value).translate(_ESCAPES)
    return str(value)


def fill(builds: int, components: int) -> None:
    """Load a data set into an empty, migrated database.

    Args:
        builds: Number of builds besides the base modules.
        components: Number of components of each, including module-build-macros.
    """
    tables: dict[type[models.Model], Table] = {
        model: Table(model)
        for model in (ModuleBuild, ModuleBuildTrace, BuildRequirement, ComponentBuild, ComponentBuildTrace)
    }
    with connection.cursor() as cursor:
        # Tables are filled in parallel, so rows may be loaded before those they refer to.
        cursor.execute("SET session_replication_role = replica")
        # A busy machine may need longer for a part than the service allows a statement.
        cursor.execute("SET statement_timeout = 0")
    for model, row in _rows(builds, components):
        tables[model].add(**row)
    for table in tables.values():
        table.flush()
    with connection.cursor() as cursor:
        for table in (tables[ModuleBuild], tables[ComponentBuild]):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"
            )
        cursor.execute("VACUUM ANALYZE")


def _rows(builds: int, components: int) -> Iterator[tuple[type[models.Model], dict[str, Any]]]:
    chance = random.Random(42)
    for number, stream in enumerate(STREAMS, 1):
        yield ModuleBuild, _base_module(number, stream)
        yield ModuleBuildTrace, {"module_build_id": number, "state": 5, "time": EPOCH}
    for number in range(builds):
        yield from _build(number, components, chance)


def _times(moment: datetime, modified: datetime, completed: datetime | None) -> dict[str, datetime | None]:
    return {
        "time_submitted": moment,
        "time_modified": modified,
        "time_completed": completed,
        "progress_at": modified,
        "started_at": moment,
    }


def _base_module(number: int, stream: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": "platform",
        "stream": stream,
        "version": "3",
        "context": "00000000",
        "state": int(BuildState.READY),
        "owner": "mbs_import",
        "modulemd": f"document: modulemd\nversion: 2\ndata:\n  name: platform\n  stream: {stream}\n",
        "koji_tag": f"module-{stream}-build",
        "stream_version": float(stream[1:]) * 10000,
        **_times(EPOCH, EPOCH, EPOCH),
    }


def _build(
    number: int, components: int, chance: random.Random
) -> Iterator[tuple[type[models.Model], dict[str, Any]]]:
    pair, sibling = divmod(number, 2)
    build_id = len(STREAMS) + number + 1
    name, stream, version = f"mod{pair % NAMES:03}", str(1 + pair // NAMES % 5), str(20190101000000 + pair)
    context, base = digest(name, stream, version, sibling)[:8], 1 + (pair + sibling) % len(STREAMS)
    state = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    path = [*_LONG[:3], state] if state is BuildState.FAILED else _LONG[: _LONG.index(state) + 1]
    moment = EPOCH + timedelta(minutes=7 * (number + 1))
    modified = moment + timedelta(minutes=3 * len(path))
    started = BuildState.BUILD in path
    commit = digest(name, version)
    packages = [f"{name}-pkg{place:02}" for place in range(components - 1)]
    requirement = {
        "ref": digest(base),
        "stream": STREAMS[base - 1],
        "version": "3",
        "context": "00000000",
        "filtered_rpms": [],
        "koji_tag": f"module-{STREAMS[base - 1]}-build",
    }
    yield (
        ModuleBuild,
        {
            "id": build_id,
            "name": name,
            "stream": stream,
            "version": version,
            "context": context,
            "state": int(state),
            "state_reason": "A component failed to build." if state is BuildState.FAILED else None,
            "modulemd": _document(name, stream, version, context, packages, requirement, commit),
            "owner": f"user{pair % 20}",
            "scmurl": f"{GIT}/modules/{name}.git?#{commit}",
            "commit": commit,
            "buildrequires": {"platform": requirement},
            "build_context": digest("build", context),
            "build_context_no_bms": digest("no base", context),
            "runtime_context": digest("runtime", context),
            "arch_names": ["x86_64"],
            "koji_tag": NSVC(name, stream, version, context).koji_tag() if started else None,
            "cg_build_koji_tag": "f28-modular-updates-candidate" if started else None,
            "batch": 1 + (components + 1) // 3 if started else 0,
            **_times(moment, modified, None if state in _LONG[:3] else modified),
        },
    )
    yield BuildRequirement, {"module_build_id": build_id, "required_id": base}
    for step, passed in enumerate(path):
        time = moment + timedelta(minutes=3 * step)
        yield ModuleBuildTrace, {"module_build_id": build_id, "state": int(passed), "time": time}
    for place, package in enumerate(["module-build-macros", *packages]):
        yield from _component(build_id, place, package, components, state, moment, version, context)


def _component(
    build_id: int,
    place: int,
    package: str,
    components: int,
    build_state: BuildState,
    moment: datetime,
    version: str,
    context: str,
) -> Iterator[tuple[type[models.Model], dict[str, Any]]]:
    number = (build_id - len(STREAMS) - 1) * components + place + 1
    state: ComponentState | None = ComponentState.COMPLETE
    if build_state in (BuildState.INIT, BuildState.WAIT) or (
        build_state is BuildState.BUILD and place > components // 2 + 1
    ):
        state = None
    elif build_state is BuildState.BUILD and place == components // 2 + 1:
        state = ComponentState.BUILDING
    elif build_state is BuildState.FAILED and place == components - 1:
        state = ComponentState.FAILED
    task = 10**6 + number
    trace: list[tuple[int, ComponentState | None, int | None]] = [(1, None, None)]
    if state is not None:
        trace.append((2 + place, ComponentState.BUILDING, task))
    if state:
        trace.append((9 + place, state, task))
    ref = digest(package, version) if place else None
    yield (
        ComponentBuild,
        {
            "id": number,
            "module_build_id": build_id,
            "package": package,
            "scmurl": f"{GIT}/rpms/{package}" if place else None,
            "ref": ref,
            "task_id": None if state is None else task,
            "state": None if state is None else int(state),
            "nvr": f"{package}-1.0-1.module_{build_id}+{context}" if state else None,
            "tagged": state is ComponentState.COMPLETE,
            "tagged_in_final": state is ComponentState.COMPLETE and place > 0,
            "build_time_only": place == 0,
            "batch": 2 + (place - 1) // 3 if place else 1,
            "weight": 1.5,
        },
    )
    for minutes, step, task_id in trace:
        yield (
            ComponentBuildTrace,
            {
                "component_build_id": number,
                "state": None if step is None else int(step),
                "task_id": task_id,
                "time": moment + timedelta(minutes=minutes),
            },
        )


def _document(
    name: str,
    stream: str,
    version: str,
    context: str,
    packages: list[str],
    requirement: Mapping[str, Any],
    commit: str,
) -> str:
    """Return a modulemd of the size of a real module."""
    components = "".join(
        f"""      {package}:
        rationale: Provides a part of the interface of this module.
        ref: {digest(package, version)}
        repository: {GIT}/rpms/{package}
        cache: {GIT}/lookaside/{package}
        buildorder: {place // 3 * 10}
        arches: [x86_64]
"""
        for place, package in enumerate(packages)
    )
    rpms = "".join(f"        {package}: {{ref: {digest(package, version)}}}\n" for package in packages)
    return f"""document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: {version}
  context: {context}
  summary: A module of the benchmark
  description: It has the sections that a module of a distribution has, and about their size.
  license:
    module: [MIT]
  xmd:
    mbs:
      buildrequires: {{platform: {json.dumps(requirement)}}}
      commit: {commit}
      mse: "true"
      scmurl: {GIT}/modules/{name}.git?#{commit}
      rpms:
{rpms}  dependencies:
  - buildrequires: {{platform: [{requirement["stream"]}]}}
    requires: {{platform: [{requirement["stream"]}]}}
  references:
    community: {GIT}/community
    documentation: {GIT}/docs
    tracker: {GIT}/issues
  profiles:
    default: {{rpms: [{packages[0] if packages else ""}]}}
  api:
    rpms: [{", ".join(packages)}]
  components:
    rpms:
{components}"""
