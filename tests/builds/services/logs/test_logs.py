"""Reading logs in windows of bounded size, with line numbers, phases and search."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.services.logs import lines, reading, searching
from builds.services.logs.lines import Window, index_of, window_from, window_until
from builds.services.logs.reading import PIECE, Log
from builds.services.logs.searching import search
from buildsys.logs import LogFile, LogPart, clipped

_numbers = count(1)


class Memory:
    """A build system with one log of bytes."""

    def __init__(self, data: bytes, *, complete: bool = True) -> None:
        self.data, self.complete, self.reads = data, complete, 0

    def logs(self, task_id: int) -> Sequence[LogFile]:
        return [LogFile("build.log", "build.log")]

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        self.reads += 1
        offset, size = clipped(start, stop)
        return LogPart(offset, self.data[offset : offset + size], len(self.data), self.complete)


class Sparse(Memory):
    """A log of a size that no memory holds; every line has ten bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(b"")
        self.size = size

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        self.reads += 1
        offset, size = clipped(start, min(stop, self.size))
        shift = offset % 10
        data = (b"123456789\n" * (size // 10 + 2))[shift : shift + size]
        return LogPart(offset, data, self.size, True)


def log(data: bytes | Memory, *, complete: bool = True) -> Log:
    system = data if isinstance(data, Memory) else Memory(data, complete=complete)
    return Log(system, next(_numbers), "build.log")


def counted(read: Log) -> Log:
    index_of(read).count(read, read.look().size, inf)
    return read


def all_windows(read: Log) -> list[Window]:
    found = [window_from(read, 0)]
    while found[-1].stop < read.size:
        found.append(window_from(read, found[-1].stop))
        assert found[-1].stop > found[-1].start
    return found


@given(
    st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=60), st.booleans()
)
def test_windows_show_each_line_once_and_number_it(texts: list[bytes], ends: bool) -> None:
    whole = b"\n".join(texts) + (b"\n" if ends else b"")
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (lines, "WINDOW", 64),
            (lines, "MAX_LINES", 5),
            (lines, "PIECE", 100),
            (reading, "PIECE", 100),
            (searching, "PIECE", 100),
        ):
            patch.setattr(module, name, value)
        read = counted(log(whole))
        forward = [line for window in all_windows(read) for line in window.lines]
        expected = whole.split(b"\n")[:-1] if whole.endswith(b"\n") else whole.split(b"\n")
        if not whole:
            expected = []
        assert [line.data for line in forward] == [text.removesuffix(b"\r") for text in expected]
        assert [line.number for line in forward] == list(range(1, len(expected) + 1))
        for line in forward:
            if line.offset < len(whole):
                assert index_of(read).offset(read, line.number or 0) == line.offset
        stop, backward = len(whole), list[bytes]()
        while stop > 0:
            window = window_until(read, stop)
            assert window.start < stop
            backward = [*(line.data for line in window.lines), *backward]
            stop = window.start
        assert backward == [line.data for line in forward]


@given(st.text("ab\n", max_size=400), st.text("ab", min_size=1, max_size=3))
def test_a_search_finds_each_line_that_holds_the_text_with_its_number(text: str, wanted: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (lines, reading, searching):
            patch.setattr(module, "PIECE", 50)
        patch.setattr(searching, "MAX_HITS", 3)
        read, found, start, over = log(text.encode()), list[int | None](), 0, False
        while not over:
            result = search(read, wanted.upper(), start, inf)
            found += [line.number for line in result.lines]
            start, over = result.stop, result.over
    expected = [number for number, line in enumerate(text.split("\n"), 1) if wanted in line]
    assert found == expected


def test_a_line_longer_than_a_window_is_divided() -> None:
    read = log(b"first\n" + b"x" * (3 * lines.WINDOW) + b"\nlast\n")
    shown = [len(line.data) for window in all_windows(read) for line in window.lines]
    assert sum(shown) == 3 * lines.WINDOW + len("firstlast")
    assert max(shown) <= lines.WINDOW


def test_a_line_that_is_still_being_written_is_not_shown() -> None:
    read = log(b"one\ntwo\nthr", complete=False)
    assert [line.data for line in window_from(read, 0).lines] == [b"one", b"two"]
    assert window_until(read, 1 << 40).stop == len(b"one\ntwo\n")
    assert not window_from(log(b"thr", complete=False), 0).lines
    assert [line.data for line in window_from(log(b"one\nthr"), 0).lines] == [b"one", b"thr"]


def test_any_part_of_a_log_of_many_gigabytes_is_read_in_a_few_pieces() -> None:
    system = Sparse(50 << 30)
    read = log(system)
    middle = window_from(read, 10 * (1 << 31))
    assert middle.lines[0].data == b"123456789"
    assert middle.lines[0].number is None
    end = window_until(read, read.size)
    assert end.stop == read.size
    assert len(end.lines) <= lines.MAX_LINES
    assert not index_of(read).count(read, read.size, deadline=0)
    assert system.reads < 10


def test_counting_goes_on_where_it_was_left() -> None:
    system = Sparse(20 * PIECE)
    index = index_of(log(system))
    read = Log(*log(system).key)
    index = index_of(read)
    assert index.count(read, 3 * PIECE, inf)
    before = system.reads
    assert index.count(read, 5 * PIECE, inf)
    assert system.reads - before <= 3
    assert index.number(read, 10 * 400_000) == 400_001


def test_phases_are_found_with_their_lines_wherever_pieces_end() -> None:
    text = b"head\nExecuting(%prep): /bin/sh\nnot Executing(%x): \n"
    for filling in range(PIECE - 40, PIECE + 40):
        body = text + b"y" * (filling - len(text)) + b"\nExecuting(%build): /bin/sh -e\nmore\n"
        read = counted(log(body))
        phases = [(each.name, each.line, each.offset) for each in index_of(read).phases(read)]
        assert phases == [("%prep", 2, 5), ("%build", 5, body.index(b"Executing(%build)"))], filling


def test_a_log_full_of_phases_is_bounded() -> None:
    read = counted(log(b"Executing(%a): \n" * 300_000))
    assert len(index_of(read).phases(read)) == 200


def test_a_log_that_grows_shows_what_was_added() -> None:
    system = Memory(b"a\n" * PIECE, complete=False)
    first = log(system)
    assert window_until(first, first.look().size).stop == 2 * PIECE
    system.data += b"new\n"
    system.complete = True
    again = Log(*first.key)
    window = window_until(again, again.look().size)
    assert (window.lines[-1].data, again.complete) == (b"new", True)


def test_a_search_stops_at_its_deadline_and_goes_on_from_there() -> None:
    read = log(Sparse(8 * PIECE))
    found = search(read, "nothing like it", 0, deadline=time.monotonic() - 1)
    assert not found.over
    assert 0 < found.stop <= PIECE
    assert search(read, "nothing like it", found.stop, inf).over
