"""Calls about repositories. Nothing is regenerated automatically, and failures send no message."""

# ruff: noqa: N802  (names are the hub's)
from __future__ import annotations

from typing import Any

import koji

from tests.buildsys.koji.double.state import REPO, Books, Row, Task
from tests.buildsys.koji.double.users import Caller

#: Attempts of a hub for one request: the first, and its option RepoRetries.
TRIES = 4


class RepoCalls:
    """Methods have the names of the hub's calls with an underscore for the dot; the caller is first."""

    books: Books

    def repo_request(self, who: Caller, info: Any, min_event: Any = None) -> Row:
        who.needs_login()
        tag = self.find_tag(info)
        # Without a minimum event, the hub accepts a repository up to an hour old.
        event = self.books.last_change(tag) if min_event == "last" else (min_event or 0)
        fit = [repo for repo in self._ready(tag.id) if repo["create_event"] >= event]
        if fit:
            return {"repo": fit[-1], "request": None, "duplicate": False}
        for request in self.books.requests.values():
            if request["active"] and request["tag_id"] == tag.id and request["min_event"] >= event:
                return {"repo": None, "request": request, "duplicate": True}
        number = next(self.books.ids["request"])
        request = {
            "id": number,
            "tag_id": tag.id,
            "tag_name": tag.name,
            "min_event": event,
            "active": True,
            "repo_id": None,
            "task_id": None,
            "tries": 0,
            "owner": who.id,
        }
        self.books.requests[number] = request
        self._regenerate(request)
        return {"repo": None, "request": dict(request), "duplicate": False}

    def repo_checkRequest(self, who: Caller, number: int) -> Row:
        request = self.books.requests.get(number)
        if request is None:
            raise koji.GenericError("No such request")
        answer: Row = {"repo": None, "request": request}
        if request["repo_id"]:
            answer["repo"] = self.books.repos[request["repo_id"]]
        elif request["task_id"]:
            answer["task"] = self.books.info(self.books.tasks[request["task_id"]])
        return answer

    def _regenerate(self, request: Row) -> None:
        def work(task: Task) -> list[int]:
            try:
                repo = self._make_repo(task, request["tag_id"])
            except koji.GenericError:
                if request["tries"] < TRIES:
                    self._regenerate(request)
                else:
                    request["active"] = False
                raise
            request.update(repo_id=repo["id"], active=False)
            return [repo["id"], repo["create_event"]]

        tag = {"id": request["tag_id"], "name": request["tag_name"]}
        task = self.books.make_task("newRepo", [tag, {"opts": {}}], 0, work)
        request.update(task_id=task.id, tries=request["tries"] + 1)

    def newRepo(self, who: Caller, info: str) -> int:
        who.needs("repo")
        tag = self.find_tag(info)

        def work(task: Task) -> list[int]:
            repo = self._make_repo(task, tag.id)
            return [repo["id"], repo["create_event"]]

        return self.books.make_task("newRepo", [tag.name], who.id, work).id

    def _make_repo(self, task: Task, tag_id: int) -> Row:
        if self.books.faults.repo_fails:
            self.books.faults.repo_fails -= 1
            raise koji.GenericError("failed to create repo: createrepo died")
        tag = self.books.tag_by_id(tag_id)
        event = task.result if isinstance(task.result, int) else self.books.event()
        for old in self._ready(tag_id):
            old["state"] = REPO["EXPIRED"]
        number = next(self.books.ids["repo"])
        self.books.repos[number] = {
            "id": number,
            "tag_id": tag.id,
            "tag_name": tag.name,
            "create_event": event,
            "state": REPO["READY"],
            "task_id": task.id,
            "dist": False,
        }
        self.books.publish("buildsys.repo.done", {"tag": tag.name, "tag_id": tag.id, "repo_id": number})
        return self.books.repos[number]

    def _ready(self, tag_id: int) -> list[Row]:
        return [
            repo
            for repo in self.books.repos.values()
            if repo["tag_id"] == tag_id and repo["state"] == REPO["READY"]
        ]

    def repoInfo(self, who: Caller, number: int) -> Row | None:
        return self.books.repos.get(number)
