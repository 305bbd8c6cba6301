"""Request repositories of buildroot tags, and check that they contain the required builds.

See docs/contract/koji.md, "Repositories". New hubs accept requests (``repo.request``) and repeat failed
regenerations; on old hubs this service starts a task (``newRepo``). A negative request number is the id of a
repository that existed already.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import koji

from buildsys.base import BuildSystemError, Module, RepoState, RepoStatus
from buildsys.koji.errors import last_line
from buildsys.koji.session import Hub, succeeded
from buildsys.koji.tagging import OPEN_TASKS
from buildsys.koji.tags import build_tag

#: Failed regenerations of a tag, within a day and since the last resumption, after which a build fails.
MAX_FAILURES = 9
_DAY = 24 * 3600
_GONE = [koji.REPO_STATES["DELETED"], koji.REPO_STATES["PROBLEM"]]
_ENDED = [koji.TASK_STATES["FAILED"], koji.TASK_STATES["CANCELED"]]


@dataclass(frozen=True)
class _Answer:
    """The hub's answer about a request: a repository, or why there is none, or neither while it is open."""

    repo: Mapping[str, Any] | None = None
    failed: str = ""


def request(hub: Hub, module: Module) -> int:
    """Request a repository of the builds that are in the buildroot tag now.

    Raises:
        BuildSystemError: ``koji_repo_failed``: too many regenerations have failed.
    """
    tag = build_tag(module)
    if not hub.has("repo.request"):
        return _new_task(hub, module)
    with hub.multicall() as calls:
        answer = calls.repo.request(tag, min_event="last")
        failures = _failures(calls, module)
    _check_bound(tag, failures.result)
    if answer.result["repo"]:
        return -int(answer.result["repo"]["id"])
    return int(answer.result["request"]["id"])


def _new_task(hub: Hub, module: Module) -> int:
    """Return an open regeneration that has not begun, or start a new one."""
    tag = build_tag(module)
    with hub.multicall() as calls:
        failures = _failures(calls, module)
        tasks = calls.listTasks(
            {
                "owner": hub.user["id"],
                "method": "newRepo",
                "state": [koji.TASK_STATES["FREE"]],
                "decode": True,
            }
        )
    _check_bound(tag, failures.result)
    # A task that has begun may have read the tag before its last change.
    waiting = next((task["id"] for task in tasks.result if _tag_of(task["request"]) == tag), None)
    return int(waiting or hub.call("newRepo", tag))


def _failures(calls: Any, module: Module) -> Any:
    after = max(module.since, time.time() - _DAY)
    return calls.listTasks(
        {"method": "newRepo", "state": _ENDED, "createdAfter": after, "decode": True},
        {"order": "-id", "limit": 1000},
    )


def _check_bound(tag: str, tasks: Sequence[Mapping[str, Any]]) -> None:
    failed = [task["id"] for task in tasks if _tag_of(task["request"]) == tag]
    if len(failed) >= MAX_FAILURES:
        raise BuildSystemError(
            f"The repository of {tag} could not be regenerated: {len(failed)} tasks failed, "
            f"the last one is {max(failed)}.",
            code="koji_repo_failed",
            hint="See that task in Koji. Correct the cause, then resubmit the module.",
        )


def _tag_of(request: Any) -> object:
    """Return the tag of a ``newRepo`` task, which is a name or, in the hub's own tasks, a dict."""
    first = request[0] if request else None
    return first.get("name") if isinstance(first, dict) else first


def status(hub: Hub, module: Module, number: int, nvrs: Sequence[str]) -> RepoStatus:
    """Return the status of a request; the repository's content is determined by its creation event."""
    answer = _ask(hub, module, number)
    if answer.failed:
        return RepoStatus(RepoState.FAILED, answer.failed)
    if answer.repo is None:
        return RepoStatus(RepoState.OPEN)
    held = _held(hub, module, int(answer.repo["create_event"]))
    missing = tuple(nvr for nvr in nvrs if held.get(nvr.rsplit("-", 2)[0]) != nvr)
    if not missing:
        return RepoStatus(RepoState.READY)
    _check_not_hidden(hub, module, missing)
    return RepoStatus(RepoState.FAILED, f"repository {answer.repo['id']} is older than the batch", missing)


def under_way(hub: Hub, numbers: Sequence[int]) -> set[int]:
    """Return the requests (on old hubs: tasks) that are open, in one round trip."""
    asked = [number for number in numbers if number >= 0]
    if not asked:
        return set()
    requests = hub.has("repo.request")
    with hub.multicall(strict=False) as calls:
        answers = {
            number: calls.repo.checkRequest(number) if requests else calls.getTaskInfo(number)
            for number in asked
        }
    known = {number: answer.result for number, answer in answers.items() if succeeded(answer)}
    if requests:
        return {n for n, row in known.items() if not row["repo"] and row["request"]["active"]}
    return {n for n, task in known.items() if task and task["state"] in OPEN_TASKS}


def _ask(hub: Hub, module: Module, number: int) -> _Answer:
    if number < 0:
        return _checked(module, hub.call("repoInfo", -number))
    return _ask_request(hub, module, number) if hub.has("repo.request") else _ask_task(hub, module, number)


def _checked(module: Module, repo: Mapping[str, Any] | None) -> _Answer:
    """Return the answer for a repository: it must belong to this module and still exist."""
    if not repo or repo["tag_name"] != build_tag(module):
        return _Answer(failed="Koji has no such repository")
    if repo["state"] in _GONE:
        return _Answer(failed=f"repository {repo['id']} is {koji.REPO_STATES[repo['state']]}")
    return _Answer(repo)


def _ask_request(hub: Hub, module: Module, number: int) -> _Answer:
    try:
        answer = hub.call("repo.checkRequest", number)
    except BuildSystemError as error:
        return _Answer(failed=error.message)
    if answer["request"]["tag_name"] != build_tag(module):
        return _Answer(failed=f"request {number} is not for {build_tag(module)}")
    if answer["repo"]:
        return _checked(module, answer["repo"])
    if answer["request"]["active"]:
        return _Answer()
    task = (answer.get("task") or {}).get("id")
    return _Answer(failed=f"Koji gave up request {number}; its last task was {task}")


def _ask_task(hub: Hub, module: Module, number: int) -> _Answer:
    with hub.multicall(strict=False) as calls:
        info = calls.getTaskInfo(number)
        result = calls.getTaskResult(number)
    task = info.result
    if task is None:
        return _Answer(failed=f"Koji has no task {number}")
    if task["state"] in OPEN_TASKS:
        return _Answer()
    if task["state"] in _ENDED:
        text = last_line(
            str(result._result.get("faultString", "") if isinstance(result._result, dict) else "")
        )
        return _Answer(failed=f"task {number} {koji.TASK_STATES[task['state']]}: {text}")
    return _checked(module, hub.call("repoInfo", result.result[0]))


def _held(hub: Hub, module: Module, event: int | None) -> dict[str, str]:
    """Return package -> latest build in the buildroot at an event, or now if None."""
    builds = hub.call("listTagged", build_tag(module), event=event, inherit=True, latest=True)
    return {build["package_name"]: build["nvr"] for build in builds}


def _check_not_hidden(hub: Hub, module: Module, nvrs: Sequence[str]) -> None:
    """Check that no other build of the same package keeps one of these builds out of repositories.

    Raises:
        BuildSystemError: ``koji_build_hidden``.
    """
    now = _held(hub, module, None)
    own = {build["nvr"] for build in hub.call("listTagged", build_tag(module))}
    for nvr in nvrs:
        winner = now.get(nvr.rsplit("-", 2)[0])
        if nvr in own and winner not in (nvr, None):
            raise BuildSystemError(
                f"{nvr} is hidden in {build_tag(module)} by {winner}, which was tagged later.",
                code="koji_build_hidden",
                hint=f"Untag {winner} from {build_tag(module)} and resubmit the module.",
            )
