"""Create the logs of simulated builds, which grow during the build."""

from __future__ import annotations

from collections.abc import Iterator

#: Name of the only log.
NAME = "build.log"
_PHASES = ("prep", "build", "install", "check")
#: Lines of each phase of a build.
_LINES = 40
_RED, _YELLOW, _GREEN, _PLAIN = "\x1b[1;31m", "\x1b[33m", "\x1b[32m", "\x1b[0m"


def simulated_log(nvr: str, share: float, state: str) -> bytes:
    """Return the log of a simulated build.

    Args:
        nvr: NVR of the build.
        share: Elapsed part of the build's duration, 0 to 1.
        state: State of its task: open, complete, failed or canceled.

    Returns:
        Text in the format of rpmbuild. The text for a smaller share is a prefix of it.
    """
    lines = list(_lines(nvr))
    shown = lines[: int(len(lines) * min(max(share, 0.0), 1.0))]
    if state == "failed":
        shown += [
            f"{_RED}error:{_PLAIN} Bad exit status from /var/tmp/rpm-tmp.simulated (%check)",
            "RPM build errors:",
            "    The simulated build system was asked to fail this package.",
        ]
    elif state == "complete":
        shown += [f"Wrote: /builddir/RPMS/{nvr}.x86_64.rpm", f"{_GREEN}simulated build of {nvr} done{_PLAIN}"]
    return "".join(f"{line}\n" for line in shown).encode()


def _lines(nvr: str) -> Iterator[str]:
    yield f"Building {nvr} (nothing is really built)"
    for phase in _PHASES:
        yield f"Executing(%{phase}): /bin/sh -e /var/tmp/rpm-tmp.simulated"
        for number in range(1, _LINES + 1):
            yield f"+ step {number} of %{phase}"
        yield f"{_YELLOW}warning:{_PLAIN} this is the end of %{phase}"
