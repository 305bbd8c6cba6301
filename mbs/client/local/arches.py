"""Check for which architectures this machine builds."""

from __future__ import annotations

import platform as machine

from mbs.errors import InvalidInput
from mbs.final import MULTILIB


def check_arch(wanted: str) -> None:
    """Check that local builds can be made for an architecture.

    Raises:
        InvalidInput: They cannot; the message says why.
    """
    own = machine.machine()
    if wanted in ("", own):
        return
    shown = repr(wanted[:40])
    if wanted == "noarch":
        reason = "noarch is not one of a machine: `BuildArch: noarch` packages are built with the others"
        hint = "Leave --arch out."
    elif wanted in MULTILIB.get(own, ()):
        reason = (
            f"Builds use compiler and libraries of this machine, and their sandbox runs only {own} programs"
        )
        hint = f"Run `mbs local` in a system whose `uname -m` prints {wanted}."
    else:
        reason = "Builds use compiler and libraries of this machine, and no emulation"
        hint = (
            "Run `mbs local` on a machine of that architecture, or submit the module to a service with one."
        )
    raise InvalidInput(
        f"This machine builds for {own}, not for {shown}. {reason}.", code="other_arch", hint=hint
    )
