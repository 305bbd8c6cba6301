"""Rows as in a service that is used, for pages that are looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builds.models import (
    CommitRange,
    ComponentBuild,
    FinalModulemd,
    LoadSample,
    LogMessage,
    ModuleBuild,
    ModuleBuildTrace,
    OutboxMessage,
    Phase,
    Submission,
    Subscription,
    Sweep,
)
from builds.services import audit, commits
from builds.services.auth import tokens
from builds.workflow.sweeps import SWEEPS
from mbs.states import BuildState, ComponentState
from tests.factories import base_module, component_build, module_build, wait

GIT = "https://src.fedoraproject.org"
#: Name, stream, owner, components and minutes of builds that ended, the oldest first.
ENDED = (
    ("perl", "5.40", "maria", 9, 34),
    ("ruby", "3.4", "tom", 6, 21),
    ("nginx", "1.26", "priya", 5, 12),
    ("nodejs", "22", "maria", 4, 48),
    ("php", "8.4", "tom", 12, 39),
    ("redis", "7", "priya", 2, 8),
    ("maven", "3.9", "tom", 14, 55),
    ("mariadb", "11.4", "maria", 3, 42),
)
PACKAGES = ("postgresql", "libpq", "postgres-decoderbufs", "pgaudit", "pg_repack", "pgvector")
#: Subjects of the newest commits of components that changed.
SUBJECTS = {
    "postgresql": "Update to 16.5 (CVE-2024-10976)",
    "pgaudit": "Rebuild for PostgreSQL 16.5",
}
LOG = """\
$ rpmbuild -bb nginx-mod-geoip2.spec
Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.prep
+ cd /builddir
+ tar -xf nginx-mod-geoip2-3.4.tar.gz
+ patch -p1 -s --fuzz=0 --no-backup-if-mismatch
Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.build
+ ./configure --with-compat --add-dynamic-module=../nginx-mod-geoip2-3.4
checking for OS
 + Linux 6.12.0 x86_64
checking for C compiler ... found
 + using GNU C compiler
checking for MaxMindDB library ... found
adding module in ../nginx-mod-geoip2-3.4
 + ngx_http_geoip2_module was configured
+ make modules
cc -c -fPIC -pipe -O2 -g -Werror -o objs/ngx_http_geoip2_module.o ngx_http_geoip2_module.c
ngx_http_geoip2_module.c: In function 'ngx_http_geoip2_add_variable':
ngx_http_geoip2_module.c:411:24: \x1b[1m\x1b[31merror: 'ngx_http_variable_t' has no member 'escape'\x1b[0m
  411 |     geoip2->variable->escape = 0;
      |                        ^~~~~~
make: *** [objs/Makefile:1204: objs/ngx_http_geoip2_module.o] Error 1
error: Bad exit status from /var/tmp/rpm-tmp.build (%build)
"""
_DOCUMENT = """\
document: modulemd
version: 2
data:
  name: postgresql
  stream: "16"
  summary: PostgreSQL server and client module
  description: An advanced object-relational database management system.
  license: {{module: [MIT]}}
  profiles:
    server: {{rpms: [postgresql-server]}}
    client: {{rpms: [postgresql]}}
  api:
    rpms: [postgresql, postgresql-server, postgresql-contrib, libpq, pgaudit, pgvector]
  components:
    rpms:
{components}
  artifacts:
    rpms:
{rpms}
"""


@dataclass
class Scene:
    """The builds that pages are about, and the ids of a token and of a subscription."""

    ready: ModuleBuild
    former: ModuleBuild
    failed: ModuleBuild
    active: ModuleBuild
    canceled: ModuleBuild
    token: int
    subscription: int
    now: datetime


def make(root: Path) -> Scene:
    """Make the rows.

    Args:
        root: Data folder of the service, for the log of a failed component.
    """
    now = datetime.now(UTC)
    platform = base_module("el10", virtual_streams=("el10",), owner="mbs_import")
    _ended(now, platform)
    former, ready = (_postgresql(now, number, platform) for number in (0, 1))
    _commits(former, ready)
    failed = _failed(now, root, platform)
    canceled = _build(now, "httpd", "2.4", "tom", 55, BuildState.FAILED, error_code="canceled", run=1)
    canceled.state_reason = "Canceled by tom."
    canceled.time_completed = now - timedelta(minutes=50)
    canceled.save()
    active = _active(now, platform)
    token, _ = tokens.create("anonymous", "nightly rebuilds", scopes=["submit"], days=30)
    subscription = Subscription.objects.create(
        address="https://hooks.example.com/mbs", subscriber="anonymous", name="nginx", secret="whsec_x"
    )
    _operations(now, active, failed, ready)
    return Scene(ready, former, failed, active, canceled, token.pk, subscription.pk, now)


def _build(
    now: datetime, name: str, stream: str, owner: str, minutes: float, state: BuildState, **values: Any
) -> ModuleBuild:
    """Make a build that was submitted some minutes ago."""
    submitted = now - timedelta(minutes=minutes)
    version = f"1020260{submitted:%m%d%H%M%S}"[:20]
    commit = _commit(name, version)
    build = module_build(
        name=name,
        stream=stream,
        version=version,
        owner=owner,
        state=state,
        time_submitted=submitted,
        scmurl=f"{GIT}/modules/{name}.git?#{commit}",
        commit=commit,
        arch_names=["x86_64", "aarch64"],
        koji_tag=f"module-{name}-{stream}-{version}-c0ffee12",
        **{"context": "c0ffee12", "modulemd": _document(), **values},
    )
    ModuleBuildTrace.objects.filter(module_build=build).update(time=submitted)
    LogMessage.objects.create(
        module_build=build, message=f"Submitted by {owner}.", time_created=submitted + timedelta(seconds=1)
    )
    return build


def _commit(*parts: object) -> str:
    """Return a commit that is always the same for the same things."""
    return hashlib.sha1(repr(parts).encode(), usedforsecurity=False).hexdigest()


def _times(build: ModuleBuild, ends: Sequence[float]) -> None:
    """Set the times of the states of a build, in minutes after its submission."""
    for trace, minutes in zip(build.state_trace.order_by("pk"), ends, strict=False):
        trace.time = build.time_submitted + timedelta(minutes=minutes)
        trace.save(update_fields=["time"])


def _ended(now: datetime, platform: ModuleBuild) -> None:
    for day in reversed(range(6)):
        for place, (name, stream, owner, count, minutes) in enumerate(ENDED):
            ago = 24 * 60 * (day / 4) + (len(ENDED) - place) * 40 + 70
            bad = (day + place) % 9 == 4
            state = BuildState.FAILED if bad else BuildState.READY
            build = _build(now, name, stream, owner, ago, state, run=1, batches=2)
            build.time_completed = build.time_submitted + timedelta(minutes=minutes + 3 * day)
            build.time_modified = build.time_completed
            if bad:
                build.error_code, build.error_hint = (
                    "component_failed",
                    "Fix it, and submit again.",
                )
                build.state_reason = f"{name}-doc failed: error: Bad exit status (%check)"
            build.save()
            for number in range(count):
                component_build(
                    build,
                    package=f"{name}-part{number}" if number else name,
                    batch=2 + number // 3,
                    state=ComponentState.FAILED if bad and not number else ComponentState.COMPLETE,
                )


def _document(rpms: Sequence[str] = ("postgresql-0:16.4-1.x86_64",)) -> str:
    components = "\n".join(f"      {name}: {{rationale: Part of the module.}}" for name in PACKAGES)
    return _DOCUMENT.format(components=components, rpms="\n".join(f"    - {rpm}" for rpm in rpms))


def _postgresql(now: datetime, number: int, platform: ModuleBuild) -> ModuleBuild:
    """Make a finished build; the second one has other commits."""
    rpms = [f"{name}-0:16.{4 + number}-1.x86_64" for name in PACKAGES[:4]]
    rpms.append("pg_repack-0:1.5.0-2.x86_64" if not number else "pgvector-0:0.8.0-1.x86_64")
    requirement = {"stream": "el10", "version": str(3 + number), "context": "00000000", "ref": "x"}
    build = _build(
        now,
        *("postgresql", "16", "maria", 95 - 60 * number, BuildState.READY),
        requires=platform,
        batches=3,
        modulemd=_document(rpms),
        buildrequires={"platform": requirement},
        disttag=f"module+el10+{number + 40}+c0ffee12",
        run=1,
        repository_url="https://mbs.example.com/results/streams/postgresql/16/repo/",
        repo_file_url="https://mbs.example.com/results/streams/postgresql/16/postgresql-16.repo",
        install=[
            "dnf config-manager --add-repo "
            "https://mbs.example.com/results/streams/postgresql/16/postgresql-16.repo",
            "dnf module install postgresql:16/server",
        ],
    )
    start = build.time_submitted
    build.time_completed = start + timedelta(minutes=22)
    build.save()
    _times(build, (0, 0.2, 0.6, 21.5, 22))
    packages = [*PACKAGES[:4], PACKAGES[4 + number]]
    spans = ((1, 12, 2), (13, 15, 3), (13, 17, 3), (13, 16, 3), (13.2, 20.5, 3))
    for place, (package, (begin, end, batch)) in enumerate(zip(packages, spans, strict=True)):
        changed = place in (0, 3)
        commit, before = _commit(package, number if changed else 0), _commit(package, 0)
        code, detail = "earlier_changed", "was postgresql#1 in batch 2 for x86_64, is none"
        if changed:
            code, detail = "commit_changed", f"was {before}, is {commit}"
        component_build(
            build,
            package=package,
            batch=batch,
            state=ComponentState.COMPLETE,
            scmurl=f"{GIT}/rpms/{package}",
            ref=commit,
            nvr=f"{package}-16.{4 + number}-1.{build.disttag}",
            task_id=100 + place + 10 * number,
            time_started=start + timedelta(minutes=begin),
            time_completed=start + timedelta(minutes=end),
            reuse_code=code if number else "",
            reuse_detail=detail if number else "",
        )
    FinalModulemd.objects.create(module_build=build, arch="x86_64", document=_document(rpms))
    Submission.objects.create(module_build=build, request={}, document=_document(rpms))
    LogMessage.objects.create(
        module_build=build,
        message="The module is in the repository of postgresql:16.",
        time_created=build.time_completed,
    )
    return build


def _commits(former: ModuleBuild, ready: ModuleBuild) -> None:
    """Store the subjects of the commits between two builds."""
    for package, pair in commits.ranges(former, ready).items():
        subjects = [
            [pair[2], SUBJECTS.get(package, "Update to the latest release")],
            [_commit(package, "tests"), "Run the tests of the package in %check"],
        ]
        CommitRange.objects.create(key=CommitRange.key_of(*pair), subjects=subjects)


def _failed(now: datetime, root: Path, platform: ModuleBuild) -> ModuleBuild:
    """Make a failed build, with the log of the component that failed."""
    task = root / "local" / "tasks" / "57"
    task.mkdir(parents=True)
    (task / "build.log").write_text(LOG)
    end = {"state": "failed", "nvr": "", "reason": "exit status 1", "started": 1.0, "ended": 2.0}
    (task / "result.json").write_text(json.dumps(end))
    reason = "nginx-mod-geoip2 failed: error: 'ngx_http_variable_t' has no member 'escape'"
    build = _build(
        now,
        *("nginx", "1.26", "priya", 26, BuildState.FAILED),
        requires=platform,
        **{"batch": 3, "batches": 3, "run": 1, "state_reason": reason, "error_code": "component_failed"},
        error_hint="Fix the component in git, and submit the module again.",
    )
    start = build.time_submitted
    build.time_completed = start + timedelta(minutes=9)
    _times(build, (0, 0.2, 0.5, 9))
    rows = {}
    for package, batch, begin, minutes, state in (
        ("nginx", 2, 1, 4, ComponentState.COMPLETE),
        ("nginx-mod-brotli", 3, 5.5, 2, ComponentState.COMPLETE),
        ("nginx-mod-geoip2", 3, 5.5, 3, ComponentState.FAILED),
        ("nginx-mod-vts", 3, 5.5, 3.2, ComponentState.CANCELED),
    ):
        rows[package] = component_build(
            build,
            **{"package": package, "batch": batch, "state": state, "scmurl": f"{GIT}/rpms/{package}"},
            task_id=57 if state == ComponentState.FAILED else None,
            state_reason={ComponentState.FAILED: "exit status 1", ComponentState.CANCELED: "Canceled"}.get(
                state
            ),
            time_started=start + timedelta(minutes=begin),
            time_completed=start + timedelta(minutes=begin + minutes),
        )
    lines, line = LOG.replace("\x1b[1m\x1b[31m", "").replace("\x1b[0m", "").splitlines(), 18
    component = rows["nginx-mod-geoip2"]
    component.excerpt = {
        "log": "build.log",
        **{"line": line, "first_line": line - 3, "cause": lines[line - 1].strip()},
        "lines": lines[line - 4 : line + 4],
        "url": f"/builds/{build.pk}/nginx-mod-geoip2/log?line={line}#L{line}",
    }
    component.save()
    build.error_excerpt = {
        "component": component.package,
        "component_build": component.pk,
        **component.excerpt,
    }
    build.save()
    LogMessage.objects.create(module_build=build, message=reason, time_created=build.time_completed)
    return build


def _active(now: datetime, platform: ModuleBuild) -> ModuleBuild:
    """Make builds that have slots or wait for them; return the one whose page is shown."""
    shown = None
    for name, stream, owner, minutes, building, waiting in (
        ("nodejs", "24", "maria", 14, 2, 1),
        ("python-extras", "3.13", "tom", 9, 2, 3),
        ("container-tools", "5", "tom", 6, 0, 2),
        ("ruby", "3.4", "priya", 4, 1, 2),
    ):
        build = _build(
            now,
            *(name, stream, owner, minutes, BuildState.BUILD),
            requires=platform,
            **{"batch": 2, "batches": 3, "phase": Phase.BUILDING, "run": 1, "scratch": name == "ruby"},
        )
        _times(build, (0, 0.2, 0.5))
        shown = shown or build
        done = component_build(
            build, package="module-build-macros", batch=1, state=ComponentState.COMPLETE, build_time_only=True
        )
        done.time_started = build.time_submitted + timedelta(minutes=0.5)
        done.time_completed = build.time_submitted + timedelta(minutes=1)
        done.save()
        for number in range(building + waiting):
            started = build.time_submitted + timedelta(minutes=1.2) if number < building else None
            component = component_build(
                build,
                package=f"{name}-{('core', 'libs', 'tools', 'docs', 'devel')[number]}",
                **{"batch": 2, "weight": 600.0 + 240 * number, "scmurl": f"{GIT}/rpms/{name}"},
                state=ComponentState.BUILDING if started else None,
                time_started=started,
                reuse_code="commit_changed",
                reuse_detail=f"was {_commit(name, 0)}, is {_commit(name, 1)}",
            )
            kind, what = (
                ("component", "is being built") if started else ("slot", "waits for a free build slot")
            )
            wait(
                build,
                key=f"{kind}:{component.pk}",
                component_build=component,
                what=f"{component.package} {what}",
                wakes_on="the end of the build" if started else "the end of another build",
                created_at=started or build.time_submitted + timedelta(minutes=1.2),
            )
        component_build(build, package=f"{name}-bundle", batch=3, weight=120.0)
    assert shown is not None
    return shown


def _operations(now: datetime, active: ModuleBuild, failed: ModuleBuild, ready: ModuleBuild) -> None:
    """Make the rows of the admin's start page."""
    for number in range(24 * 4):
        time = now - timedelta(minutes=15 * number)
        busy = (number % 40) / 5
        LoadSample.objects.create(
            time=time, building=min(5, int(busy) + 1), waiting=int(busy * 1.6), oldest_wait=60 + 130 * busy
        )
    seen = (now - timedelta(seconds=20)).isoformat()
    workers = {
        "builds@worker2": {"queues": ["builds"], "seen": seen},
        "steps@worker1": {"queues": ["checks", "polls", "sweeps", "workflow"], "seen": seen},
        "steps@worker3": {
            "queues": ["checks", "polls", "sweeps", "workflow"],
            "seen": (now - timedelta(hours=3)).isoformat(),
        },
    }
    for name in SWEEPS:
        started = now - timedelta(seconds=1) if name != "lost_tags" else now - timedelta(minutes=34)
        result = {"workers": workers} if name == "samples" else {}
        Sweep.objects.create(
            name=name, started_at=started, finished_at=started + timedelta(seconds=0.4), result=result
        )
    OutboxMessage.objects.create(
        module_build=active, topic="mbs.module.state.change", body={}, created_at=now - timedelta(seconds=4)
    )
    audit.record(audit.SUBMITTED, "maria", ready)
    audit.record(audit.SUBMITTED, "priya", failed)
    audit.record(audit.TOKEN_CREATED, "tom", subject="nightly rebuilds of tom (mbs_Gh3k...)")
    audit.record(audit.SUBMITTED, "maria", active)


def components(build: ModuleBuild) -> list[ComponentBuild]:
    """Return the components of a build in the order of their ids."""
    return list(build.component_builds.order_by("pk"))
