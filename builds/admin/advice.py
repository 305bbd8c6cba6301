"""Say what operators can do about waits."""

from __future__ import annotations

from collections.abc import Mapping

from builds.models import Wait
from mbs.wait_keys import Kind

_OUTAGE = "Fix the outage that the text names. The task is then tried again automatically."
_BY_KIND: Mapping[str, str] = {
    Kind.AFTER: "It starts when the components that it builds after are in the buildroot: look at those.",
    Kind.CHECK: "Check that the git server answers, and that a worker serves the queue checks.",
    Kind.COMPONENT: "Open its task in the build system. If it has ended there, wake the wait. If it hangs, "
    "cancel the task there.",
    Kind.REPO: "Check that the build system regenerates repositories. If this one is ready, wake the wait.",
    Kind.RETRY: _OUTAGE,
    Kind.SLOT: "It starts when a slot is free. If slots stay in use, look at the components that build, or "
    "raise NUM_CONCURRENT_BUILDS.",
    Kind.TAG: "Check that the build system tags builds. If these are tagged, wake the wait.",
}


def what_to_do(wait: Wait) -> str:
    """Return a text that says what an operator can do about a wait."""
    if wait.what.startswith("an outage: "):
        return _OUTAGE
    return _BY_KIND.get(wait.key.partition(":")[0], "Open the build and read its log messages.")
