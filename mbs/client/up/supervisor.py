"""Keep programs running: start them in order, restart those that end, and stop them in reverse order.

A single loop in the main thread does all of it, and never blocks for longer than a readiness check.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mbs.client.up.child import Child, Program
from mbs.client.up.log import Log, LogLost

#: Seconds between two rounds of the loop while programs write nothing.
ROUND = 0.1
#: Seconds between two readiness checks of a program.
PROBE_INTERVAL = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class RestartPolicy:
    """The pauses before restarts of a program that ends, and the limit of restarts.

    Attributes:
        first: Seconds before the first restart; doubled after each further quick death.
        longest: Maximum seconds before a restart.
        quick: A program that ran for fewer seconds died quickly.
        deaths: Number of quick deaths in a row after which the supervisor gives up.
    """

    first: float = 0.5
    longest: float = 8.0
    quick: float = 15.0
    deaths: int = 6


class ProgramState:
    """The state of a program: its process, and its history."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.child: Child | None = None
        self.ready = False
        self.started = 0.0
        self.start_at = 0.0
        self.probe_at = 0.0
        self.quick_deaths = 0
        self.terminated: float | None = None


class Supervisor:
    """Runs programs until it is stopped, or until one of them cannot be kept running.

    Args:
        folder: Working folder of all programs.
        descriptors: Open files that all programs inherit.
        on_ready: Called once when all programs are ready.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        log: Log,
        *,
        environment: Mapping[str, str],
        folder: Path,
        descriptors: Sequence[int] = (),
        on_ready: Callable[[], None] = lambda: None,
        restarts: RestartPolicy = RestartPolicy(),
    ) -> None:
        self._slots = {program.name: ProgramState(program) for program in programs}
        self._log = log
        self._environment = environment
        self._folder = folder
        self._descriptors = descriptors
        self._on_ready = on_ready
        self._restarts = restarts
        self._selector = selectors.DefaultSelector()
        self._announced = False
        self._request_stoped = 0
        self._stopping = False
        self._failed = False

    def run(self) -> bool:
        """Run until stopped, and return whether the stop was requested."""
        with _handlers(self._request_stop):
            try:
                while not self._stopping or any(slot.child for slot in self._slots.values()):
                    self._round()
            finally:
                for slot in self._slots.values():
                    if slot.child:
                        slot.child.kill()
        return not self._failed

    def _request_stop(self, number: int, _: FrameType | None) -> None:
        self._request_stoped += 1

    def _round(self) -> None:
        try:
            self._step()
        except LogLost:
            self._stop("The log cannot be written any more.")

    def _step(self) -> None:
        for slot in self._slots.values():
            self._check(slot)
        if self._request_stoped and not self._stopping:
            self._stop("Stopping.")
        if self._stopping:
            self._stop_next()
        else:
            self._start_next()
        self._relay()

    def _relay(self) -> None:
        for key, _ in self._selector.select(ROUND):
            slot: ProgramState = key.data
            if slot.child:
                lines = slot.child.read()
                if lines is None:
                    self._selector.unregister(key.fileobj)
                self._write(slot, lines or [])

    def _write(self, slot: ProgramState, lines: Sequence[str]) -> None:
        for line in lines:
            slot.ready = slot.ready or bool(slot.program.says and slot.program.says in line)
            self._log.write(slot.program.name, line)

    def _check(self, slot: ProgramState) -> None:
        """Detect that a program is ready or has ended."""
        if slot.child is None:
            return
        code = slot.child.ended()
        if code is not None:
            self._handle_exit(slot, slot.child, code)
        elif not slot.ready and time.monotonic() >= slot.probe_at:
            slot.ready = slot.program.is_ready_now()
            slot.probe_at = time.monotonic() + PROBE_INTERVAL

    def _handle_exit(self, slot: ProgramState, child: Child, code: int) -> None:
        slot.child = None
        if child.pipe in self._selector.get_map():
            self._selector.unregister(child.pipe)
        self._write(slot, child.last_lines())
        if self._stopping:
            return
        if slot.program.once:
            slot.ready = code == 0
            if code:
                self._fail(f"{slot.program.name} {describe_exit(code)}: the service cannot start.")
            return
        slot.ready = False
        now = time.monotonic()
        quick = now - slot.started < self._restarts.quick
        slot.quick_deaths = slot.quick_deaths + 1 if quick else 0
        if slot.quick_deaths >= self._restarts.deaths:
            self._fail(f"{slot.program.name} ended {slot.quick_deaths} times in a row: giving up.")
            return
        pause = min(self._restarts.longest, self._restarts.first * 2 ** max(0, slot.quick_deaths - 1))
        slot.start_at = now + pause
        self._say(f"{slot.program.name} {describe_exit(code)}; restarting in {pause:g} s.")

    def _start_next(self) -> None:
        for slot in self._slots.values():
            idle = slot.child is None and not (slot.program.once and slot.ready)
            if idle and time.monotonic() >= slot.start_at and self._may_start(slot):
                self._start(slot)
        if not self._announced and all(slot.ready for slot in self._slots.values()):
            self._announced = True
            self._on_ready()

    def _may_start(self, slot: ProgramState) -> bool:
        return all(self._slots[name].ready for name in (*slot.program.needs, *slot.program.after))

    def _start(self, slot: ProgramState) -> None:
        slot.started = time.monotonic()
        try:
            slot.child = Child(slot.program, self._environment, self._folder, self._descriptors)
        except OSError as error:
            self._fail(f"{slot.program.name} cannot be started: {error}.")
            return
        self._selector.register(slot.child.pipe, selectors.EVENT_READ, slot)

    def _stop_next(self) -> None:
        """Stop programs that no running program needs, and kill those that exceed their grace period."""
        alive = [slot for slot in self._slots.values() if slot.child]
        needed = {name for slot in alive for name in slot.program.needs}
        for slot in alive:
            if slot.child is None or slot.program.name in needed:
                continue
            if slot.terminated is None:
                slot.terminated = time.monotonic()
                slot.child.terminate()
            elif self._request_stoped > 1 or time.monotonic() - slot.terminated > slot.program.grace:
                slot.child.kill()

    def _fail(self, reason: str) -> None:
        self._failed = True
        self._stop(reason)

    def _stop(self, reason: str) -> None:
        self._stopping = True
        self._say(reason)

    def _say(self, text: str) -> None:
        self._log.write("mbs", text)


def describe_exit(code: int) -> str:
    """Describe an exit code."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


@contextmanager
def _handlers(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the stop signals, except those that are ignored already (nohup)."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    mine = [number for number in STOP_SIGNALS if before[number] is not signal.SIG_IGN]
    for number in mine:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
