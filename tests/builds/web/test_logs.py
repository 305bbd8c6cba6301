"""Pages of logs, and logs as plain text for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from builds.services.build_system import build_system
from builds.services.logs import components, reading
from builds.services.logs.lines import MAX_LINES, Line
from builds.services.logs.reading import PIECE
from builds.web.log_html import MAX_CHARACTERS, Style, groups, text_html
from buildsys.base import Job
from buildsys.logs import LogFile, LogPart
from mbs.states import ComponentState
from tests.builds.web.browser import BROWSER, Get
from tests.builds.web.component_logs import address, end, row
from tests.buildsys.packages import module

pytestmark = pytest.mark.django_db
PHASES = b"".join(b"Executing(%%%b): /bin/sh -e\n%b line\n" % (name, name) for name in (b"prep", b"build"))


def test_a_log_is_shown_with_links_to_its_lines_and_phases(get: Get, log: Path) -> None:
    log.write_bytes(b"head\n" + PHASES)
    end(log)
    component = row()
    page = get(address(component))
    assert {"L1", "L2", "L5"} <= {*page.all("span", "id")}
    path = address(component, "?name=build.log")
    assert f"{path}&line=3#L3" in page.all("a", "href")
    assert f"{path}&line=4#L4" in page.all("a", "href"), "the phase %build"
    assert page.html.count("<details") == 2
    assert "%prep 2 lines from line 2" in page.text
    assert not page.all("p", "data-tail")


def test_the_page_of_a_build_links_to_logs(get: Get) -> None:
    component = row(package="libfoo++")
    hrefs = get(f"/builds/{component.module_build_id}").all("a", "href")
    assert f"/builds/{component.module_build_id}/libfoo%2B%2B/log" in hrefs


def test_a_failed_log_shows_its_end_and_folds_earlier_phases(get: Get, log: Path) -> None:
    log.write_bytes(b"filling\n" * 100_000 + PHASES + b"error: it broke\n")
    end(log, "failed")
    component = row(state=ComponentState.FAILED, state_reason="rpmbuild failed")
    page = get(address(component))
    assert "error: it broke" in page.text
    assert "rpmbuild failed" in page.text
    assert [attributes.get("open") for tag, attributes in page.tags if tag == "details"] == [None, ""]
    assert len(page.all("span", "id")) <= MAX_LINES
    earlier = next(href for href in page.all("a", "href") if "until=" in href)
    assert "filling" in get(earlier).text


def test_a_line_that_is_named_is_shown_wherever_it_is(get: Get, log: Path) -> None:
    log.write_bytes(b"".join(b"this is line %d\n" % number for number in range(1, 200_001)))
    end(log)
    component = row()
    page = get(address(component, "?line=150000"))
    assert "L150000" in page.all("span", "id")
    assert "this is line 150000" in page.text
    assert "Line 300000 was not found" in get(address(component, "?line=300000")).text


def test_a_log_of_gigabytes_is_shown_at_once_and_read_in_ranges(get: Get, client: Client, log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(5 << 30)
        file.seek(0, 2)
        file.write(b"\nthe very end\n")
    end(log, "failed")
    component = row(state=ComponentState.FAILED)
    page = get(address(component))
    assert "the very end" in page.text
    size = log.stat().st_size
    for asked, said, body in (
        (f"bytes={size - 13}-{size - 10}", f"bytes {size - 13}-{size - 10}/{size}", b"the "),
        ("bytes=-5", f"bytes {size - 5}-{size - 1}/{size}", b"end\n"[-5:]),
        (f"bytes={size - 3}-", f"bytes {size - 3}-{size - 1}/{size}", b"nd\n"),
    ):
        answer = client.get(address(component), headers={"Range": asked, "Accept": "text/plain"})
        assert (answer.status_code, answer["Content-Range"]) == (206, said)
        assert answer.getvalue().endswith(body)
        assert int(answer["Content-Length"]) < 10


def test_a_range_behind_the_end_is_refused(client: Client, log: Path) -> None:
    log.write_bytes(b"0123456789")
    answer = client.get(address(row()), headers={"Range": "bytes=10-"})
    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */10")


def test_programs_get_the_whole_log_as_text_that_no_browser_runs(client: Client, log: Path) -> None:
    log.write_bytes(b"<script>alert(1)</script>\n" * 100_000)
    component = row()
    answer = client.get(address(component))
    assert answer.getvalue() == log.read_bytes()
    assert answer["Content-Type"].startswith("text/plain")
    assert answer["Content-Security-Policy"].startswith("sandbox")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert client.get(address(component, "?from=2599990")).getvalue() == log.read_bytes()[2599990:]
    assert client.get(address(component, "?raw=1"), headers=BROWSER)["Content-Type"].startswith("text/plain")


def test_the_api_lists_the_logs(client: Client, log: Path) -> None:
    log.write_bytes(b"text")
    component = row()
    said = client.get(address(component), headers={"Accept": "application/json"}).json()
    assert said == {
        "module_build": component.module_build_id,
        "component_build": component.pk,
        "package": "libfoo",
        "task_id": 7,
        "state": 1,
        "state_name": "COMPLETE",
        "name": "build.log",
        "logs": [{"name": "build.log", "label": "build.log"}],
        "size": 4,
        "complete": False,
    }


def test_a_search_lists_lines_with_links(get: Get, log: Path) -> None:
    log.write_bytes(b"nothing\n" * 500 + b"an ERROR <b>here</b>\n" + b"nothing\n" * 500)
    end(log)
    component = row()
    page = get(address(component, "?q=error"))
    assert "501 an ERROR <b>here</b>" in page.text
    assert address(component, "?name=build.log&line=501#L501") in page.all("a", "href")
    assert "No line contains the text" in get(address(component, "?q=absent")).text


def test_a_log_that_is_being_written_is_followed(get: Get, log: Path) -> None:
    log.write_bytes(b"one\ntwo\nhal")
    component = row(state=ComponentState.BUILDING)
    page = get(address(component))
    assert "hal" not in page.text.split("Scroll")[0].split("two")[1].split("The build goes on")[0]
    path = address(component, "/events")
    assert page.all("p", "data-tail") == [f"{path}?name=build.log&task=7&from=8&line=3"]


def test_the_page_of_a_missing_log_gives_the_reason(get: Get, log: Path) -> None:
    assert "has not started" in get(address(row(task_id=None, state=None))).text
    assert "has not written a log yet" in get(address(row(state=ComponentState.BUILDING))).text


@pytest.mark.parametrize("query", ["?line=x", "?from=-1", "?until=", "?line=1e9", f"?from={'9' * 16}"])
def test_places_that_are_no_numbers_are_refused(get: Get, log: Path, query: str) -> None:
    log.write_bytes(b"text\n")
    assert "400 Bad Request" in get(address(row(), query), status=400).text


def test_missing_pages_have_a_message(get: Get, client: Client, log: Path) -> None:
    component = row()
    assert "no component" in get(f"/builds/{component.module_build_id}/other/log", status=404).text
    assert "no log" in get(address(component, "?name=../../lock"), status=404).text
    missing = client.get(f"/builds/{component.module_build_id}/other/log", headers={"Accept": "text/plain"})
    assert (missing.status_code, missing.json()["code"]) == (404, "no_such_component")
    assert client.post(address(component)).status_code == 405


def test_hostile_texts_are_escaped_and_cut() -> None:
    style = Style()
    line = b"<script>alert(1)</script>&\x00\x07\xff\xe2\x80\xae\"'" + b"y" * 10_000
    html = text_html(line, style)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "\\x00" in html
    assert "\\u202e" in html
    assert len(html) < MAX_CHARACTERS + 500
    assert "more characters" in html


@pytest.mark.parametrize(
    ("data", "html"),
    [
        (b"\x1b[1;31mred\x1b[0m plain", '<span class="bold t1">red</span> plain'),
        (b"\x1b[92;44mx\x1b[39my\x1b[49mz", '<span class="t10 g4">x</span><span class="g4">y</span>z'),
        (b"\x1b[38;5;3ma\x1b[38;5;200mb\x1b[1mc", '<span class="t3">a</span>b<span class="bold">c</span>'),
        (b"\x1b[38;2;1;2;3;4mx", '<span class="underline">x</span>'),
        (b"\x1b]0;title\x07text\x1b[2K\x1b(Bmore", "textmore"),
        (b"10%\r20%\r100%\r", "100%"),
        (b'\x1b[31"onclick=alert(1)m', "nclick=alert(1)m"),
    ],
)
def test_control_sequences_become_classes_or_nothing(data: bytes, html: str) -> None:
    assert text_html(data, Style()) == html


def test_colours_go_on_in_the_next_line() -> None:
    (group,) = groups([Line(0, b"\x1b[31mone", 1), Line(9, b"two\x1b[m", 2)], Style(), "?")
    assert group.html.count('class="t1"') == 2


def test_the_simulated_build_system_has_logs(get: Get, settings: Any) -> None:
    assert settings.MBS.SYSTEM == "simulated"
    system = build_system()
    (submission,) = system.submit([Job(4711, 1, module(), "libfoo")])
    page = get(address(row(task_id=submission.task_id)))
    assert "%check" in page.text
    assert "nothing is really built" in page.text


class Counting:
    """A build system with one log, which counts how often each part of it is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[int] = []

    def logs(self, task_id: int) -> list[LogFile]:
        return [LogFile("build.log", "build.log")]

    def read_log(self, task_id: int, name: str, start: int, stop: int) -> LogPart:
        if stop > start:
            self.asked.append(start)
        return LogPart(start, self.data[start:stop], len(self.data), complete=True)


def test_a_download_reads_each_piece_once_although_others_empty_the_cache(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Counting(bytes(range(256)) * (2 * PIECE // 256) + b"the end")
    monkeypatch.setattr(components, "build_system", lambda: system)
    monkeypatch.setattr(reading, "_pieces", reading._Pieces(0))
    response = client.get(address(row(), "?raw=1"))
    system.asked.clear()
    parts = list(response.streaming_content)
    response.close()
    assert b"".join(parts) == system.data
    assert len(parts) > 30, "slow clients take small parts"
    assert system.asked == [0, PIECE, 2 * PIECE]
