"""The command ``mbs logs``: print logs of components (``docs/howto/logs.md``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from time import sleep

import click

from mbs.client.arguments import BUILD_ID
from mbs.client.builds import AS_JSON, INTERVAL
from mbs.client.completing import complete_packages
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json, UnexpectedAnswer
from mbs.client.snapshot import Component
from mbs.client.watching import fetch_build
from mbs.errors import NotFound
from mbs.text import printable

#: Max bytes of a printed line.
_MAX_LINE = 16 * 1024
#: Bytes to read from the end of a log for each of its last lines.
_PER_LINE = 512
#: Logs are smaller than this number of bytes.
_MAX_SIZE = 1 << 50
#: Escape sequences of terminals (ECMA-48, 5.4 and 5.6).
_ESCAPES = re.compile(
    r"\x1b(?:"
    r"\[[0-9;:?<=>!]{0,60}[ -/]{0,4}[@-~]"
    r"|[\]P_X^][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)"
    r"|[ -/]{0,4}[0-~])"
)
#: Colors: SGR without a private parameter, with which xterm changes the codes of keys (modifyOtherKeys).
_COLOR = re.compile(r"\x1b\[[0-9;:]*m")
_PLAIN = "\x1b[0m"


@click.command(epilog=EXIT_CODES)
@BUILD_ID
@click.argument("package", required=False, shell_complete=complete_packages)
@click.option("--failed", is_flag=True, help="Only logs of failed components.")
@click.option("--follow", "-f", "following", is_flag=True, help="Continue until the builds have ended.")
@click.option("--lines", "-n", type=click.IntRange(1, 100_000), metavar="N", help="Only the last N lines.")
@click.option("--log", "name", default="", help="Name of the log, if there are several (see --json).")
@INTERVAL
@AS_JSON
@with_client
def logs(
    client: Client,
    build_id: int,
    package: str | None,
    failed: bool,
    following: bool,
    lines: int | None,
    name: str,
    interval: float,
    as_json: bool,
) -> None:
    """Print the log of a component, or of all components of a build.

    If several logs are printed, each line begins with the name of its package. With --json, print the
    names and sizes of the logs instead.
    """
    readers: dict[str, Reader] = {}
    while True:
        chosen = [each for each in fetch_build(client, build_id).components if _chosen(each, package, failed)]
        if package and not chosen and not failed:
            raise NotFound(f"The build {build_id} has no component {package!r}.", code="no_such_component")
        if as_json:
            print_json([client.log_info(build_id, each.package, name) for each in chosen])
            return
        for each in chosen:
            prefix = "" if package else f"{each.package}: "
            fresh = Reader(client, build_id, each.package, prefix, name, lines)
            for line in readers.setdefault(each.package, fresh).news():
                click.echo(line)
        if not following or all(each.finished and readers[each.package].over for each in chosen):
            return
        sleep(interval)


def _chosen(component: Component, package: str | None, failed: bool) -> bool:
    return package in (None, component.package) and (component.failed or not failed)


def _size(info: Json) -> int:
    size = info.get("size") or 0
    if not isinstance(size, int) or not 0 <= size < _MAX_SIZE:
        raise UnexpectedAnswer(f"The server sent {str(size)[:60]!r} as the size of a log.")
    return size


@dataclass
class Reader:
    """Reads the log of one component repeatedly, each time up to its current end.

    Attributes:
        client: Client of the server.
        build_id: Id of the module build.
        package: Name of the component.
        prefix: Text before each line.
        name: Name of the log; empty for the server's choice.
        lines: Number of lines to print of the existing content; None for all.
        over: Whether the log has ended.
    """

    client: Client
    build_id: int
    package: str
    prefix: str = ""
    name: str = ""
    lines: int | None = None
    over: bool = False
    _place: int = 0
    _submission: int | None = None
    _rest: bytes = b""

    def news(self) -> Iterator[str]:
        """Yield the lines that were written since the last call."""
        info = self.client.log_info(self.build_id, self.package, self.name)
        if info.get("task_id") != self._submission and self._place:
            yield f"{self.prefix}--- built again, as submission {info.get('task_id')} ---"
            self._place, self._rest = 0, b""
        self._submission = info.get("task_id")
        size, self.over = _size(info), bool(info.get("complete"))
        if not info.get("name"):
            return
        if self.lines is not None and not self._place and size:
            yield from self._last(info, size, self.lines)
        elif size > self._place:
            yield from self._all(info, size)
        if self.over and self._rest:
            yield self._printable(self._rest)
            self._rest = b""

    def _all(self, info: Json, size: int) -> Iterator[str]:
        for data in self.client.log(self.build_id, self.package, str(info["name"]), self._place, size):
            self._place += len(data)
            *lines, rest = (self._rest + data).split(b"\n")
            # Drop the end of a very long line.
            self._rest = rest[:_MAX_LINE]
            yield from map(self._printable, lines)

    def _last(self, info: Json, size: int, count: int) -> Iterator[str]:
        self._place = max(size - count * _PER_LINE, 0)
        whole = not self._place
        lines = list(self._all(info, size))
        yield from lines[max(len(lines) - count, 0 if whole else 1) :]

    def _printable(self, line: bytes) -> str:
        """Return a line for a terminal: of its control sequences only colors remain."""
        text = line[:_MAX_LINE].decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
        parts, place, coloured = [], 0, False
        for match in _ESCAPES.finditer(text):
            parts.append(printable(text[place : match.start()], "\t"))
            place = match.end()
            if _COLOR.fullmatch(match[0]):
                parts.append(match[0])
                coloured = True
        parts.append(printable(text[place:], "\t"))
        return self.prefix + "".join(parts) + (_PLAIN if coloured else "")
