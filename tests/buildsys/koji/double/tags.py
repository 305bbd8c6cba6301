"""Calls about tags, packages, groups, targets and tagging."""

# ruff: noqa: N802, N803  (names are the hub's)
from __future__ import annotations

import re
from typing import Any

import koji

from tests.buildsys.koji.double.state import BUILD, Books, Row, Tag, Task
from tests.buildsys.koji.double.users import Caller

_NAME = re.compile(r"[A-Za-z0-9/_.+-]{1,256}")
_LINK = ("parent_id", "priority", "maxdepth", "intransitive", "noconfig", "pkg_filter")


class TagCalls:
    """Methods have the names of the hub's calls; the caller is the first argument."""

    books: Books

    def find_tag(self, info: Any, *, strict: bool = True) -> Tag | None:
        if isinstance(info, dict):
            info = info.get("id", info.get("name"))
        tag = next((tag for tag in self.books.tags.values() if info in (tag.id, tag.name)), None)
        if tag is None and strict:
            raise koji.GenericError(f"No such tag: {info!r}")
        return tag

    def getTag(self, who: Caller, info: Any, strict: bool = False, event: Any = None) -> Row | None:
        tag = self.find_tag(info, strict=strict)
        if tag is None:
            return None
        return {
            "id": tag.id,
            "name": tag.name,
            "arches": tag.arches,
            "perm": tag.perm,
            "perm_id": None,
            "locked": tag.locked,
            "extra": dict(tag.extra),
        }

    def createTag(
        self,
        who: Caller,
        name: str,
        parent: Any = None,
        arches: Any = None,
        perm: Any = None,
        extra: Any = None,
    ) -> int:
        who.needs("tag")
        if not _NAME.fullmatch(name):
            raise koji.NameValidationError(f"invalid name: {name}")
        if name in self.books.tags:
            raise koji.GenericError(f"A tag with the name '{name}' already exists")
        tag = Tag(next(self.books.ids["tag"]), name, arches, perm, dict(extra or {}))
        self.books.tags[name] = tag
        self.books.changed(tag)
        return tag.id

    def editTag2(self, who: Caller, info: Any, **values: Any) -> None:
        who.needs("tag")
        tag = self.find_tag(info)
        # The hub ignores unknown keywords.
        for key in ("arches", "perm", "locked"):
            if key in values:
                setattr(tag, key, values[key])
        tag.extra |= values.get("extra") or {}
        self.books.changed(tag)

    def getInheritanceData(self, who: Caller, info: Any) -> list[Row]:
        tag = self.find_tag(info)
        return [
            link | {"child_id": tag.id, "name": self.books.tag_by_id(link["parent_id"]).name}
            for link in sorted(tag.parents, key=lambda link: link["priority"])
        ]

    def setInheritanceData(self, who: Caller, info: Any, changes: list[Row], clear: bool = False) -> None:
        who.needs("tag")
        tag = self.find_tag(info)
        links = {} if clear else {link["parent_id"]: link for link in tag.parents}
        for change in changes:
            if change.get("delete link"):
                links.pop(change["parent_id"], None)
                continue
            for key in _LINK:
                if key not in change:
                    raise koji.GenericError(f"No value for {key}")
            self.find_tag(change["parent_id"])
            links[change["parent_id"]] = {key: change[key] for key in _LINK}
        if len({link["priority"] for link in links.values()}) < len(links):
            raise koji.GenericError("Multiple parent tags cannot have the same priority value")
        tag.parents = list(links.values())
        self.books.changed(tag)

    # -- packages and groups -----------------------------------------------------------------------------

    def listPackages(
        self, who: Caller, tagID: Any, inherited: bool = False, with_owners: bool = True
    ) -> list[Row]:
        tag = self.find_tag(tagID)
        found: dict[str, Row] = {}
        for each in [tag, *(self.books.ancestors(tag) if inherited else [])]:
            found = {**each.packages, **found}
        return list(found.values())

    def packageListAdd(
        self, who: Caller, info: Any, package: str, owner: Any = None, force: bool = False
    ) -> None:
        who.needs("tag")
        tag = self.find_tag(info)
        if owner is not None and owner not in self.books.users:
            raise koji.GenericError(f"No such user: {owner!r}")
        known = tag.packages.get(package)
        if known and known["blocked"]:
            raise koji.GenericError(f"package {package} is blocked in tag {tag.name}")
        if not known:
            tag.packages[package] = {"package_name": package, "blocked": False}
            self.books.changed(tag)

    def packageListBlock(self, who: Caller, info: Any, package: str) -> None:
        who.needs("tag")
        tag = self.find_tag(info)
        tag.packages[package] = {"package_name": package, "blocked": True}
        self.books.changed(tag)

    def packageListUnblock(self, who: Caller, info: Any, package: str) -> None:
        who.needs("tag")
        tag = self.find_tag(info)
        if not tag.packages.get(package, {}).get("blocked"):
            raise koji.GenericError(f"package {package} NOT blocked in tag {tag.name}")
        tag.packages[package]["blocked"] = False
        self.books.changed(tag)

    def getTagGroups(self, who: Caller, info: Any, incl_reqs: bool = True) -> list[Row]:
        tag = self.find_tag(info)
        found: dict[str, set[str]] = {}
        for each in [tag, *self.books.ancestors(tag)]:
            for group, packages in each.groups.items():
                found[group] = found.get(group, set()) | packages
        return [
            {"name": group, "packagelist": [{"package": name, "blocked": False} for name in sorted(packages)]}
            for group, packages in found.items()
        ]

    def groupListAdd(self, who: Caller, info: Any, group: str) -> None:
        who.needs("tag")
        tag = self.find_tag(info)
        if not any(group in each.groups for each in [tag, *self.books.ancestors(tag)]):
            tag.groups[group] = set()
            self.books.changed(tag)

    def groupPackageListAdd(self, who: Caller, info: Any, group: str, package: str) -> None:
        who.needs("tag")
        tag = self.find_tag(info)
        family = [tag, *self.books.ancestors(tag)]
        if not any(group in each.groups for each in family):
            raise koji.GenericError(f"group {group} is not present in tag {tag.name}")
        if not any(package in each.groups.get(group, ()) for each in family):
            tag.groups.setdefault(group, set()).add(package)
            self.books.changed(tag)

    # -- targets -----------------------------------------------------------------------------------------

    def getBuildTarget(self, who: Caller, name: str) -> Row | None:
        return self.books.targets.get(name)

    def getBuildTargets(self, who: Caller) -> list[Row]:
        return list(self.books.targets.values())

    def createBuildTarget(self, who: Caller, name: str, build_tag: Any, dest_tag: Any) -> None:
        who.needs("target")
        if name in self.books.targets:
            raise koji.GenericError(f"A build target with the name '{name}' already exists")
        tags = self.find_tag(build_tag), self.find_tag(dest_tag)
        self.books.targets[name] = {
            "id": next(self.books.ids["target"]),
            "name": name,
            "build_tag": tags[0].id,
            "build_tag_name": tags[0].name,
            "dest_tag": tags[1].id,
            "dest_tag_name": tags[1].name,
        }

    def editBuildTarget(self, who: Caller, target: str, name: str, build_tag: Any, dest_tag: Any) -> None:
        who.needs("target")
        del self.books.targets[target]
        self.createBuildTarget(who, name, build_tag, dest_tag)

    def deleteBuildTarget(self, who: Caller, name: str) -> None:
        who.needs("target")
        if name not in self.books.targets:
            raise koji.GenericError(f"No such build target: {name}")
        del self.books.targets[name]

    # -- tagging -----------------------------------------------------------------------------------------

    def listTagged(
        self,
        who: Caller,
        info: Any,
        event: int | None = None,
        inherit: bool = False,
        latest: bool = False,
        package: str | None = None,
        strict: bool = True,
    ) -> list[Row]:
        tag = self.find_tag(info, strict=strict)
        if tag is None:
            return []
        builds = self.books.listed(tag, event=event, inherit=inherit)
        if latest:
            newest: dict[str, Row] = {}
            for build in builds:
                newest.setdefault(build["name"], build)
            builds = list(newest.values())
        return [build for build in builds if package in (None, build["name"])]

    def listTags(self, who: Caller, build: Any) -> list[Row]:
        row = self.books.build(build)
        if row is None:
            raise koji.GenericError(f"No such build: {build}")
        return [
            {"id": tag.id, "name": tag.name} for tag in self.books.tags.values() if tag.entries(row["id"])
        ]

    def listTaggedRPMS(
        self,
        who: Caller,
        info: Any,
        event: int | None = None,
        inherit: bool = False,
        latest: bool = False,
        package: str | None = None,
        arch: Any = None,
    ) -> list[list[Row]]:
        builds = self.listTagged(who, info, event=event, inherit=inherit, latest=latest, package=package)
        arches = None if arch is None else [arch] if isinstance(arch, str) else list(arch)
        rpms = [
            rpm
            for build in builds
            for rpm in self.books.rpms_of[build["id"]]
            if arches is None or rpm["arch"] in arches
        ]
        return [rpms, builds]

    def getExternalRepoList(self, who: Caller, info: Any) -> list[Row]:
        tag = self.find_tag(info)
        return [repo for each in [tag, *self.books.ancestors(tag)] for repo in each.external]

    def queryHistory(self, who: Caller, tables: Any = None, build: Any = None, tag: Any = None) -> Row:
        """Return the history of tagging: the builds that are and were in a tag."""
        row, listed_in = self.books.build(build), self.find_tag(tag)
        if row is None:
            raise koji.GenericError(f"No such build: {build!r}")
        rows = [
            {"build_id": number, "create_event": created, "revoke_event": ended, "active": ended is None}
            for number, created, ended in listed_in.listing
            if number == row["id"]
        ]
        return {"tag_listing": rows}

    def tagBuild(self, who: Caller, info: Any, build: Any, force: bool = False) -> int:
        who.needs_login()
        tag, row = self.find_tag(info), self.books.build(build)
        if row is None:
            raise koji.GenericError(f"No such build: {build!r}")
        if row["state"] != BUILD["COMPLETE"]:
            raise koji.TagError(f"build {row['nvr']} not complete: state {koji.BUILD_STATES[row['state']]}")
        self._check_access(who, tag, force)
        family = [tag, *self.books.ancestors(tag)]
        known = next((each.packages[row["name"]] for each in family if row["name"] in each.packages), None)
        if known is None or known["blocked"]:
            word = "blocked in" if known else "not in list for"
            raise koji.TagError(f"Package {row['name']} {word} {tag.name}")
        request = [tag.id, row["id"], force, None]
        return self.books.make_task("tagBuild", request, who.id, self._tag).id

    def _tag(self, task: Task) -> None:
        tag, build = self.books.tag_by_id(task.request[0]), self.books.builds[task.request[1]]
        if self.books.faults.tag_fails:
            self.books.faults.tag_fails -= 1
            raise koji.TagError("policy violation (tag)")
        if tag.entries(build["id"]):
            raise koji.TagError(f"build {build['nvr']} already tagged ({tag.name})")
        self.put(tag, build)

    def put(self, tag: Tag, build: Row) -> None:
        """Tag a build at once."""
        tag.listing.append([build["id"], self.books.changed(tag), None])
        names = {key: build[key] for key in ("build_id", "name", "version", "release")}
        self.books.publish(
            "buildsys.tag", {"tag": tag.name, "tag_id": tag.id, "user": "mbs", "owner": "mbs", **names}
        )

    def _check_access(self, who: Caller, tag: Tag, force: bool) -> None:
        """Refuse who may not tag; an administrator needs ``force``."""
        if force and "admin" in who.permissions:
            return
        if tag.locked:
            raise koji.ActionNotAllowed("tag is locked")
        if tag.perm and tag.perm not in who.permissions:
            raise koji.ActionNotAllowed(f"tag requires {tag.perm} permission")

    def untagBuild(
        self, who: Caller, info: Any, build: Any, strict: bool = True, force: bool = False
    ) -> None:
        who.needs_login()
        tag, row = self.find_tag(info), self.books.build(build)
        self._check_access(who, tag, force)
        entries = tag.entries(row["id"]) if row else []
        for entry in entries:
            entry[2] = self.books.changed(tag)
        if strict and not entries:
            raise koji.TagError(f"build {build} not in tag {tag.name}")
