"""Run short programs that read untrusted files, with limits on time, memory and output."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_CHUNK = 1 << 16


class ChildFailed(Exception):
    """The program failed or was killed; the message says how."""


@dataclass(frozen=True)
class Bounds:
    """Limits of one program.

    Attributes:
        seconds: Wall-clock time, and processor time.
        memory: Bytes of address space.
        output: Bytes on standard output.
        file_bytes: Size of each file that it writes.
    """

    seconds: float = 60.0
    memory: int = 1 << 30
    output: int = 64 << 20
    file_bytes: int = 0


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    bounds: Bounds = Bounds(),
    env: Mapping[str, str] | None = None,
) -> bytes:
    """Run a program and return its standard output.

    Args:
        stdin: Content of its standard input.
        env: Its complete environment.

    Raises:
        ChildFailed: The program cannot be started, exceeds a limit, is killed, or ends with a code other
            than 0.
    """
    name = os.path.basename(argv[0])
    with open(os.memfd_create("stdin"), "wb+") as source:
        source.write(stdin)
        source.seek(0)
        try:
            process = subprocess.Popen(
                argv,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env=dict(env or {}),
                start_new_session=True,
            )
        except OSError as error:
            raise ChildFailed(f"{name} cannot be started: {error.strerror}") from None
    try:
        _limit(process.pid, bounds)
        output = _read(process, bounds, time.monotonic() + bounds.seconds)
        code = process.wait()
    finally:
        _end(process)
    if code:
        raise ChildFailed(
            f"{name} was killed by signal {-code}" if code < 0 else f"{name} ended with code {code}"
        )
    return output


def _limit(pid: int, bounds: Bounds) -> None:
    processor = int(bounds.seconds) + 1
    for kind, value in (
        (resource.RLIMIT_AS, bounds.memory),
        (resource.RLIMIT_CPU, processor),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
    ):
        with suppress(ProcessLookupError):
            resource.prlimit(pid, kind, (value, value))


def _read(process: subprocess.Popen[bytes], bounds: Bounds, deadline: float) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise ChildFailed(f"it took longer than {bounds.seconds:g} seconds")
            chunk = os.read(process.stdout.fileno(), _CHUNK)
            if not chunk:
                return bytes(output)
            output += chunk
            if len(output) > bounds.output:
                raise ChildFailed(f"it wrote more than {bounds.output} bytes")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and its children. The process group exists until the program is reaped here."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()
