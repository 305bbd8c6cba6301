"""List the protections of builds that are in force on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from buildsys.local import cgroups, identities, syscalls
from buildsys.local.sandbox import Limits
from mbs.errors import Problem


@dataclass(frozen=True)
class Protection:
    """A measure that isolates builds from the service and from each other.

    Attributes:
        text: A sentence that describes it, or says why it is missing.
        remedy: What to do if it is not in force.
        required: Whether builders in production must have it.
    """

    in_force: bool
    text: str
    remedy: str = ""
    required: bool = True

    @property
    def problem(self) -> Problem:
        """The problem of a protection that is not in force."""
        return Problem("build_unprotected", self.text, hint=self.remedy)


def protections(limits: Limits) -> list[Protection]:
    """Return all protections, in force or not."""
    return [
        Protection(True, "Builds see only programs and selected files in /etc of this machine."),
        *_users(limits.users),
        _filter(),
        _groups(),
    ]


def missing(limits: Limits) -> list[Protection]:
    """Return the protections that production requires and this machine lacks."""
    return [each for each in protections(limits) if each.required and not each.in_force]


def _users(users: range) -> Iterator[Protection]:
    found = identities.means(users)
    if found.lacking:
        consequence = "so builds run as the service's own user"
        if os.geteuid() == 0:
            consequence = "so all builds run as the user nobody"
        yield Protection(False, f"{found.lacking}, {consequence}.", found.remedy)
        return
    span = f"{found.users.start} to {found.users.stop - 1}"
    taken = identities.conflicts(users) if found.mode == "range" else ""
    if taken:
        yield Protection(
            False,
            f"Builds run as users {span}, but {taken}.",
            "Set LOCAL_BUILD_FIRST_USER to the first of enough unused ids.",
        )
    else:
        yield Protection(True, f"Each build runs as a user of its own, with an id from {span}.")


def _filter() -> Protection:
    if syscalls.supported():
        return Protection(True, "Builds cannot make user namespaces, and only sockets of known families.")
    machine = os.uname().machine
    return Protection(
        False,
        f"There is no system call filter for {machine}, so a build can exhaust the kernel's namespaces.",
        "Build on x86_64 or aarch64.",
    )


def _groups() -> Protection:
    place = cgroups.place()
    if place:
        where = " and ".join(map(str, place.folders))
        text = f"Memory and processes of each build are limited by a control group (version {place.version})"
        return Protection(True, f"{text} below {where}.", required=False)
    return Protection(
        False,
        "No control group can be made, so the memory of all processes of a build together is not limited.",
        "Run the builder as root, or as a service of systemd with Delegate=yes.",
        required=False,
    )
