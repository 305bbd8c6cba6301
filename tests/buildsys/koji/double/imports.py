"""Calls about Content Generator imports, and calls of ``mbs-manager doctor``."""

# ruff: noqa: N802, N803  (names are the hub's)
from __future__ import annotations

import hashlib
from typing import Any

import koji
from koji.xmlrpcplus import Fault

from tests.buildsys.koji.double.state import BUILD, Books, Row
from tests.buildsys.koji.double.users import Caller


class ImportCalls:
    """Methods have the names of the hub's calls; the caller is the first argument."""

    books: Books

    def CGImport(self, who: Caller, metadata: Row, folder: str) -> Row:
        try:
            build, outputs = metadata["build"], metadata["output"]
            generators = {root["content_generator"]["name"] for root in metadata["buildroots"]}
            used = {output["buildroot_id"] for output in outputs}
            _ = [
                build[key]
                for key in ("name", "version", "release", "extra", "source", "start_time", "end_time")
            ]
        except KeyError as error:
            raise Fault(1, f"Traceback (most recent call last):\nKeyError: {error}") from error
        for name in generators:
            if name not in self.books.generators:
                raise koji.GenericError(f"No such entry in table content_generator: {name}")
            if who.name not in self.books.generators[name] and "admin" not in who.permissions:
                raise koji.AuthError(f"Content Generator Access Required (user {who.name})")
        known = self.books.build(build)
        if known and known["state"] not in (BUILD["FAILED"], BUILD["CANCELED"]):
            raise koji.GenericError(f"Build already exists: {known['nvr']} (id={known['id']})")
        for root in metadata["buildroots"]:
            if root["id"] not in used:
                raise koji.GenericError(f"Buildroot id not used in output: {root['id']!r}")
        for kind in build["extra"]["typeinfo"]:
            if kind not in self.books.btypes:
                raise koji.GenericError(f"No such entry in table btype: {kind}")
        if build.get("owner") and build["owner"] not in self.books.users:
            raise koji.GenericError(f"No such user: {build['owner']!r}")
        for output in outputs:
            self._check_file(folder, output)
        nvr = "{name}-{version}-{release}".format(**build)
        values = {key: build[key] for key in ("source", "extra")}
        row = self.books.new_build(nvr, "BUILDING", start_ts=build["start_time"], **values)
        self.books.set_state(row, "COMPLETE")
        row["completion_ts"] = build["end_time"]
        self.books.archives[row["id"]] = [
            {"filename": output["filename"], "size": output["filesize"]}
            for output in outputs
            if output["type"] != "log"
        ]
        return row

    def _check_file(self, folder: str, output: Row) -> None:
        content = self.books.uploads.get(folder, {}).get(output["filename"])
        if content is None:
            raise Fault(1, f"Traceback:\nFileNotFoundError: {folder}/{output['filename']}")
        if len(content) != output["filesize"]:
            raise koji.GenericError(f"File size for {output['filename']} doesn't match. Corrupted upload?")
        if hashlib.new(output["checksum_type"], content).hexdigest() != output["checksum"]:
            raise koji.GenericError(f"File checksum mismatch for {output['filename']}")
        if output["type"] != "log" and not output.get("extra", {}).get("typeinfo"):
            raise koji.GenericError(f"No typeinfo for: {output['filename']}")

    def listArchives(self, who: Caller, buildID: int) -> list[Row]:
        return self.books.archives.get(buildID, [])

    def listBTypes(self, who: Caller, query: Any = None) -> list[Row]:
        return [{"id": place, "name": name} for place, name in enumerate(sorted(self.books.btypes))]

    def listCGs(self, who: Caller) -> Row:
        return {name: {"id": 1, "users": sorted(users)} for name, users in self.books.generators.items()}

    def getAllPerms(self, who: Caller) -> list[Row]:
        names = {"admin", "tag", "target", "repo", "regen-repo", "cg"} | self.books.permissions
        return [{"id": place, "name": name} for place, name in enumerate(sorted(names))]

    def getPerms(self, who: Caller) -> list[str]:
        return sorted(who.permissions)

    def getUser(self, who: Caller, info: Any = None) -> Row | None:
        return next(
            (
                {"id": user["id"], "name": user["name"], "status": 0, "usertype": 0}
                for user in self.books.users.values()
                if info in (user["id"], user["name"])
            ),
            None,
        )

    def getLoggedInUser(self, who: Caller) -> Row | None:
        return self.getUser(who, who.id) if who.id else None

    def getAPIVersion(self, who: Caller) -> int:
        return 1
