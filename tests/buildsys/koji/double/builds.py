"""Calls about builds and tasks, and the work of builders."""

# ruff: noqa: N802, N803  (names are the hub's)
from __future__ import annotations

import base64
import re
import time
from fnmatch import fnmatchcase
from math import inf
from typing import Any

import koji
from koji.xmlrpcplus import Fault

from tests.buildsys.koji.double.state import BUILD, TASK, Books, Row, Task
from tests.buildsys.koji.double.users import Caller

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OPEN = (TASK["FREE"], TASK["OPEN"], TASK["ASSIGNED"])
_NVRA = ("name", "version", "release", "arch")
MACROS = "module-build-macros"


class BuildCalls:
    """Methods have the names of the hub's calls; the caller is the first argument."""

    books: Books

    def build(
        self, who: Caller, src: str, target: str, opts: Row | None = None, priority: int | None = None
    ) -> int:
        """Make a build task without checks, which the task makes."""
        who.needs_login()
        if priority is not None and priority < 0:
            who.needs("admin")
        task = self.books.make_task("build", [src, target, opts or {}], who.id, self._finish)
        self._ask_for_repo(who, task, target, opts or {})
        return task.id

    def _ask_for_repo(self, who: Caller, task: Task, target: str, opts: Row) -> None:
        """Use any existing repository, however old, and wait for one if there is none."""
        known = self.books.targets.get(target)
        if known is None or self.books.faults.old:
            return
        min_event = "last" if opts.get("wait_repo") else None
        answer = self.repo_request(who, known["build_tag_name"], min_event=min_event)
        if answer["repo"] is None:
            task.awaits, task.ends = self.books.requests[answer["request"]["id"]], inf

    def _finish(self, task: Task) -> Row:
        src, target_name, options = task.request
        if options.get("arch_override") and not options.get("scratch"):
            raise koji.BuildError("arch_override is only allowed for scratch builds")
        target = self.books.targets.get(target_name)
        if target is None:
            raise koji.GenericError(f"invalid build target: {target_name}")
        package, nvr = self._sources(task, src, target)
        listed = self.books.tags[target["dest_tag_name"]].packages.get(package)
        if not options.get("skip_tag") and (listed is None or listed["blocked"]):
            raise koji.BuildError(f"package {package} not in list for tag {target['dest_tag_name']}")
        build = self._start(task, nvr, src)
        if self.books.faults.breaks:
            fault, logs = self.books.faults.breaks.pop(0)
            self._subtask(task, fault, logs)
            self.books.set_state(build, "FAILED")
            raise fault
        if package.startswith("fails-"):
            self.books.set_state(build, "FAILED")
            raise koji.BuildError(
                "error building package (arch x86_64), mock exited with status 1; see build.log"
            )
        self._make_rpms(build)
        self.books.set_state(build, "COMPLETE")
        if not options.get("skip_tag"):
            self.put(self.books.tags[target["dest_tag_name"]], build)
        return {"build_id": build["id"]}

    def _subtask(self, parent: Task, fault: Exception, logs: dict[str, str]) -> None:
        """Make the failed task of a builder with its output."""
        task = self.books.make_task("buildArch", [], parent.owner, lambda task: None)
        task.parent, task.fault, task.output = parent.id, fault, logs
        self.books.close(task, "FAILED")

    def _start(self, task: Task, nvr: str, src: str) -> Row:
        # The hub stores the address without the question mark.
        source = src.replace("?#", "#")
        return self.books.new_build(
            nvr, "BUILDING", task_id=task.id, source=source, start_ts=task.started, creation_ts=task.created
        )

    def _sources(self, task: Task, src: str, target: Row) -> tuple[str, str]:
        """Return package and NVR. A failure here leaves no build and sends no message about one."""
        if "://" not in src:
            if "/".join(src.split("/")[:-1]) not in self.books.uploads:
                raise koji.GenericError(f"No such file: {src}")
            owner = next(user for user in self.books.users.values() if user["id"] == task.owner)
            if not owner["srpms"]:
                raise koji.ActionNotAllowed("policy violation (build_from_srpm)")
            nvr = src.rsplit("/", 1)[-1].removesuffix(".src.rpm")
            package = nvr.rsplit("-", 2)[0]
        else:
            address, _, commit = src.partition("#")
            if not address.startswith(("git://", "git+")):
                raise koji.GenericError(f"Invalid scheme in scmurl: {src}")
            package = address.rstrip("?").rsplit("/", 1)[-1]
            if not _COMMIT.fullmatch(commit) or package.endswith("-missing"):
                # A task that fails without a refusal by Koji.
                raise Fault(1, f"Traceback (most recent call last):\nBuildError: no such repository: {src}")
            package = self.books.spec_names.get(package, package)
            nvr = f"{package}-1.0-1.{self._dist(target)}"
        return package, nvr

    def _dist(self, target: Row) -> str:
        """Return the dist tag of the buildroot: that of the macros package if the repository contains it.

        An existing repository is used, however old it is; otherwise one is made.
        """
        tag = self.books.tags[target["build_tag_name"]]
        ready = [
            repo
            for repo in self.books.repos.values()
            if repo["tag_id"] == tag.id and repo["state"] == koji.REPO_READY
        ]
        event = max((repo["create_event"] for repo in ready), default=len(self.books.events) - 1)
        macros = [b for b in self.books.listed(tag, event=event, inherit=True) if b["name"] == MACROS]
        return str(macros[0]["release"]).partition(".")[2] if macros else "platform"

    def _make_rpms(self, build: Row) -> None:
        names = [(build["name"], "src"), (build["name"], "noarch"), (f"{build['name']}-devel", "noarch")]
        for name, arch in names:
            number = next(self.books.ids["rpm"])
            rpm: Row = {
                "id": number,
                "name": name,
                "version": build["version"],
                "release": build["release"],
                "nvr": f"{name}-{build['version']}-{build['release']}",
                "arch": arch,
                "epoch": None,
                "draft": False,
                "payloadhash": f"{number:032x}",
                "size": 6_000 + number,
                "buildtime": int(time.time()),
                "build_id": build["id"],
                "buildroot_id": None,
                "external_repo_id": 0,
                "external_repo_name": "INTERNAL",
                "metadata_only": False,
                "extra": None,
            }
            self.books.rpms[number] = rpm
            self.books.rpms_of[build["id"]].append(rpm)

    # -- what there is -----------------------------------------------------------------------------------

    def getBuild(self, who: Caller, info: Any, strict: bool = False) -> Row | None:
        build = self.books.build(info)
        if build is None and strict:
            raise koji.GenericError(f"No such build: {info!r}")
        return build

    def listBuilds(
        self,
        who: Caller,
        packageID: Any = None,
        taskID: int | None = None,
        state: int | None = None,
        pattern: str | None = None,
        prefix: str | None = None,
        queryOpts: Row | None = None,
    ) -> list[Row]:
        found = [
            build
            for build in self.books.builds.values()
            if packageID in (None, build["name"])
            and taskID in (None, build["task_id"])
            and state in (None, build["state"])
            and (pattern is None or fnmatchcase(build["nvr"], pattern))
            and build["name"].startswith(prefix or "")
        ]
        if queryOpts and queryOpts.get("order") == "-build_id":
            found.sort(key=lambda build: -build["id"])
        return found[: queryOpts.get("limit")] if queryOpts else found

    def getAverageBuildDuration(self, who: Caller, package: str) -> float | None:
        times = [
            build["completion_ts"] - build["creation_ts"]
            for build in self.books.builds.values()
            if build["name"] == package and build["state"] == BUILD["COMPLETE"] and build["task_id"]
        ]
        return sum(times) / len(times) if times else None

    def listBuildRPMs(self, who: Caller, info: Any) -> list[Row]:
        build = self.books.build(info)
        if build is None:
            raise koji.GenericError(f"No such build: {info!r}")
        return list(self.books.rpms_of[build["id"]])

    def getRPM(self, who: Caller, info: str, strict: bool = False) -> Row | None:
        wanted = koji.parse_NVRA(info)
        build = next(
            (rpm for rpm in self.books.rpms.values() if all(rpm[k] == wanted[k] for k in _NVRA)), None
        )
        if build is None and strict:
            raise koji.GenericError(f"No such rpm: {wanted!r}")
        return build

    def getRPMHeaders(self, who: Caller, rpmID: int, headers: list[str]) -> Row:
        if rpmID not in self.books.rpms:
            return {}
        devel = self.books.rpms[rpmID]["name"].endswith("-devel")
        known = {"license": "GPL-2.0-only" if devel else "MIT", "excludearch": [], "exclusivearch": []}
        return {name: known[name.lower()] for name in headers}

    # -- tasks -------------------------------------------------------------------------------------------

    def getTaskInfo(self, who: Caller, task_id: Any, request: bool = False) -> Any:
        if isinstance(task_id, list):
            return [self.getTaskInfo(who, number, request) for number in task_id]
        task = self.books.tasks.get(task_id)
        return self.books.info(task, request=request) if task else None

    def getTaskResult(self, who: Caller, task_id: int, raise_fault: bool = True) -> Any:
        task = self.books.tasks.get(task_id)
        if task is None:
            raise koji.GenericError(f"No such task: {task_id}")
        if task.state == TASK["CANCELED"]:
            raise koji.GenericError(f"Task {task_id} is canceled")
        if task.state in _OPEN:
            raise koji.GenericError(f"Task {task_id} is not finished")
        if task.fault is None:
            return task.result
        if raise_fault:
            raise task.fault
        if isinstance(task.fault, Fault):
            return {"faultCode": task.fault.faultCode, "faultString": task.fault.faultString}
        return {"faultCode": task.fault.faultCode, "faultString": str(task.fault)}

    def listTasks(self, who: Caller, opts: Row | None = None, queryOpts: Row | None = None) -> list[Row]:
        wanted, query = opts or {}, queryOpts or {}
        closed = TASK["CLOSED"] in wanted.get("state", [TASK["CLOSED"]])
        found = [
            task
            for task in (self.books.tasks if closed else self.books.unclosed).values()
            if task.owner == wanted.get("owner", task.owner)
            and task.method == wanted.get("method", task.method)
            and task.state in wanted.get("state", [task.state])
            and task.created > wanted.get("createdAfter", 0)
        ]
        if query.get("order") == "-id":
            found.sort(key=lambda task: -task.id)
        # Without "decode", a request would be XML, which this service does not read.
        return [self.books.info(task, request=bool(wanted.get("decode"))) for task in found][
            : query.get("limit")
        ]

    def getTaskChildren(self, who: Caller, task_id: int, request: bool = False) -> list[Row]:
        return [self.books.info(task) for task in self.books.tasks.values() if task.parent == task_id]

    def listTaskOutput(self, who: Caller, taskID: int, stat: bool = False, strict: bool = False) -> Any:
        output = self.books.tasks[taskID].output
        if stat:
            return {name: {"st_size": str(len(text.encode()))} for name, text in output.items()}
        return sorted(output)

    def getBuildLogs(self, who: Caller, build: int) -> list[Row]:
        """Only logs of complete builds are kept with their packages."""
        row = self.books.builds[build]
        top = "packages/{name}/{version}/{release}/data/logs".format(**row)
        names = [name.removeprefix(f"{top}/") for name in self.books.files if name.startswith(f"{top}/")]
        return [
            {"name": name.rpartition("/")[2], "dir": name.rpartition("/")[0], "path": f"{top}/{name}"}
            for name in names
        ]

    def downloadTaskOutput(
        self, who: Caller, taskID: int, fileName: str, offset: int = 0, size: int = -1
    ) -> str:
        task = self.books.tasks.get(taskID)
        if task is None or fileName not in task.output:
            raise koji.GenericError(f'no file "{fileName}" output by task {taskID}')
        content = task.output[fileName].encode()
        if offset < -len(content):
            raise Fault(1, "OSError: [Errno 22] Invalid argument")
        content = content[offset:]
        return base64.b64encode(content[:size] if size >= 0 else content).decode()

    def deleteBuild(self, who: Caller, info: Any, strict: bool = True) -> bool:
        who.needs("admin")
        build = self.books.build(info)
        if tags := [tag.name for tag in self.books.tags.values() if tag.entries(build["id"])]:
            raise koji.GenericError(f"Cannot delete build, tagged: {tags}")
        self.books.set_state(build, "DELETED")
        return True

    def cancelTask(self, who: Caller, task_id: int) -> None:
        task = self.books.tasks.get(task_id)
        if task is None:
            raise koji.GenericError(f"No such task: {task_id}")
        if task.owner != who.id and "admin" not in who.permissions:
            raise koji.ActionNotAllowed("Cannot cancel task, not owner")
        if task.state in _OPEN:
            self.books.close(task, "CANCELED")
            for build in self.books.builds.values():
                if build["task_id"] == task_id and build["state"] == BUILD["BUILDING"]:
                    self.books.set_state(build, "CANCELED")
