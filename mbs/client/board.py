"""Keep a list of builds current: by the server's stream of events, otherwise by polling.

Events only say that something changed. The builds are then read again, so that a lost, late or forged event
has no effect on what is shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mbs.client.event_stream import parse
from mbs.client.rest import Client, Params, Refused
from mbs.client.snapshot import Build, read_build, read_outlooks
from mbs.errors import MBSError
from mbs.states import ACTIVE, BuildState

#: Max active builds, and ended builds, in the list.
ACTIVE_LIMIT, ENDED_LIMIT = 200, 50
#: Seconds between two reads while events arrive: predictions change without an event.
WITH_EVENTS = 15.0
#: Min seconds between two reads, however many events arrive.
_GAP = 0.5
#: Seconds after which a broken stream is opened again.
_REOPEN = 3.0
#: Seconds without a byte after which a stream is broken; the server sends something every 15 seconds.
_SILENCE = 60.0


class Board:
    """The builds that a user watches.

    Args:
        client: Client of the server, which is used by several threads.
        ids: The builds to watch; none: all active builds and the newest ended ones.
        owner: Only builds of this owner; empty for all.
        interval: Seconds between two reads if the server sends no events.

    Attributes:
        builds: Builds by id. The dictionary is replaced, never changed.
        outage: Why the builds could not be read; ``builds`` are then the last known ones.
        live: Whether events arrive.
        interval: See above.
    """

    def __init__(
        self, client: Client, ids: Sequence[int] = (), *, owner: str = "", interval: float = 2.0
    ) -> None:
        self.client = client
        self.ids = tuple(dict.fromkeys(ids))
        self.builds: Mapping[int, Build] = {}
        self.outage = ""
        self.live = False
        self._filters: dict[str, str] = {"owner": owner} if owner else {}
        self.interval = interval
        self._opened: int | None = None
        #: builds that were active at any read, in the order in which they were seen
        self._seen: dict[int, None] = {}
        self._wake = threading.Event()
        self._stopped = threading.Event()

    @property
    def ended(self) -> bool:
        """Whether all builds in the list have ended."""
        return all(build.ended for build in self.builds.values())

    def start(self, changed: Callable[[], object]) -> None:
        """Start threads that read the builds again whenever something changes.

        Args:
            changed: Called after each read, in another thread.
        """
        # Daemons: a user who quits does not wait for a server that does not answer.
        for work in (self._listen, lambda: self._follow(changed)):
            threading.Thread(target=work, daemon=True).start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopped.set()
        self._wake.set()

    def refresh(self) -> None:
        """Read the list again soon."""
        self._wake.set()

    def open(self, build_id: int | None) -> None:
        """Choose the build whose components are read too; None for no build."""
        self._opened = build_id
        self.refresh()

    def read(self) -> None:
        """Read the list.

        Raises:
            MBSError: Any error of the client; the list stays as it was.
        """
        found = {build.id: build for build in (self._chosen() if self.ids else self._newest())}
        opened = self._opened
        if opened is not None:
            build = read_build(self.client.build(opened), self.client.components(opened))
            found[opened] = build
        active = [number for number, build in found.items() if not build.ended]
        outlooks = read_outlooks(self.client.queue(active)) if active else {}
        self.builds = {
            number: replace(build, outlook=outlooks.get(number)) for number, build in found.items()
        }
        self.outage = ""

    def _chosen(self) -> list[Build]:
        return [read_build(self.client.build(number)) for number in self.ids]

    def _newest(self) -> list[Build]:
        """Return active builds, the newest ended ones, and those that were active at an earlier read."""
        states = [BuildState(state).word for state in sorted(ACTIVE)]
        active: Params = {**self._filters, "state": states}
        found = {build.id: build for build in map(read_build, self.client.builds(active, limit=ACTIVE_LIMIT))}
        self._seen.update(dict.fromkeys(found))
        for build in map(read_build, self.client.builds(dict(self._filters), limit=ENDED_LIMIT)):
            found.setdefault(build.id, build)
        for number in list(self._seen)[-ACTIVE_LIMIT:]:
            known = self.builds.get(number)
            if known and number not in found:
                found[number] = known if known.ended else read_build(self.client.build(number))
        return list(found.values())

    def _follow(self, changed: Callable[[], object]) -> None:
        """Read the list after each event, or at intervals."""
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                self.read()
            except MBSError as error:
                self.outage = error.message
            except (KeyError, TypeError, ValueError) as error:
                self.outage = f"The server sent builds that cannot be read: {error!r}."
            if self._stopped.is_set():
                return
            changed()
            self._stopped.wait(_GAP)
            usual = not self.live or self.outage
            self._wake.wait(max(self.interval - _GAP, 0.0) if usual else WITH_EVENTS)

    def _listen(self) -> None:
        """Wake the reader at each event, and open the stream again when it breaks."""
        last = ""
        while not self._stopped.is_set():
            opened = time.monotonic()
            try:
                for event in parse(self.client.events(self._filters, last, silence=_SILENCE)):
                    if self._stopped.is_set():
                        return
                    self.live, last = True, event.id or last
                    if event.name:
                        self._wake.set()
            except Refused as error:
                if not error.transient:
                    return  # the server has no such stream
            except MBSError:
                pass
            except RuntimeError:  # the client was closed
                return
            finally:
                # A server without streams ends each answer at once: its builds are polled.
                self.live = False
            self._stopped.wait(max(_REOPEN - (time.monotonic() - opened), 1.0))
