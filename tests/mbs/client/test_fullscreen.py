"""The full-screen view of ``mbs watch``: its keys, and the screen that a user sees."""

from __future__ import annotations

import asyncio
import html
import queue
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import pytest
from click.testing import CliRunner
from textual.widgets import Input

from mbs.client import board, following, notifying
from mbs.client.board import Board
from mbs.client.cli import main
from mbs.client.fullscreen import lists
from mbs.client.fullscreen.app import Watch
from mbs.client.rest import Client
from tests.mbs.client.fake_server import FakeServer, component_build, module_build

#: Seconds between two reads in tests that do not depend on events: often, or never.
OFTEN, NEVER = 0.5, 10_000.0
TASKS = {"rpms": {"a": {"state": 1}, "b": {"state": 1}, "c": {"state": None}}}


class User:
    """Presses keys and looks at the screen."""

    def __init__(self, app: Watch, press: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.press = press

    @property
    def picture(self) -> str:
        """The screen as SVG."""
        return self.app.export_screenshot(simplify=False)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen."""
        drawn = re.findall(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', self.picture)
        found: dict[float, list[tuple[float, str]]] = {}
        for x, y, text in drawn:
            found.setdefault(float(y), []).append((float(x), html.unescape(text).replace("\xa0", " ")))
        return ["".join(text for _, text in sorted(found[y])).rstrip("\n") for y in sorted(found)]

    @property
    def screen(self) -> str:
        """The text of the screen."""
        return "\n".join(self.lines)

    async def sees(self, *texts: str, absent: str = "\0") -> None:
        """Wait until all texts are on the screen, and another is not."""
        limit = time.monotonic() + 30
        while not all(text in self.screen for text in texts) or absent in self.screen:
            assert time.monotonic() < limit, f"not {texts} without {absent!r}:\n{self.screen}"
            await asyncio.sleep(0.02)


def use(
    server: FakeServer,
    story: Callable[[User], Awaitable[None]],
    *,
    ids: tuple[int, ...] = (),
    interval: float = OFTEN,
    size: tuple[int, int] = (80, 24),
    notifies: bool = False,
) -> int | None:
    """Let a user use the view, and return its exit code."""

    async def run() -> int | None:
        watched = Board(Client(server.url), ids, interval=interval)
        watched.read()
        app = Watch(watched, notifies=notifies)
        async with app.run_test(size=size, notifications=True) as pilot:
            await story(User(app, pilot.press))
        return app.return_value

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def builds(server: FakeServer) -> None:
    server.add(
        module_build(1, "failed", state_reason="bash did not build", error={"hint": "Read the log."}),
        component_build(1, 1, 1, package="glibc", state=1, nvr="glibc-2-1"),
        component_build(2, 1, 2, package="bash", state=3, state_reason="no such file"),
    )
    waits = {"what": "waits for a slot"}
    server.add(module_build(2, "build", name="loud", owner="zoe", batch=1, tasks=TASKS, waiting_for=waits))


def acted(server: FakeServer) -> list[tuple[str, str]]:
    return [(method, path.rsplit("/2/")[-1]) for method, path, _ in server.requests if method != "GET"]


def test_a_line_shows_a_build_and_the_lines_below_the_list_show_all_of_the_chosen_one(
    server: FakeServer,
) -> None:
    async def story(user: User) -> None:
        await user.sees(
            "loud:1:20230101000000:c2 ", "2/3", "waits for a", "loud:1:20230101000000:c2  #2  build", "by zoe"
        )
        assert max(map(len, user.lines)) <= 80
        await user.press("down")
        await user.sees("bash did not build Read the log.", "quiet:1:20230101000000:c1  #1  failed")

    use(server, story)


def test_a_wide_terminal_shows_owners_bars_and_whole_names(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.sees("loud:1:20230101000000:c2 ", "━━━━━···", "zoe   ", "owner")

    use(server, story, size=(140, 24))


def test_enter_opens_the_components_and_escape_returns(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.press("down", "enter")
        await user.sees("glibc", "glibc-2-1", "bash", "no such file", "order: batch")
        await user.press("s")
        await user.sees("order: state")
        order = [line.split()[1] for line in user.lines if re.match(r" +\d (glibc|bash)", line)]
        assert order == ["bash", "glibc"], "failed components come first"
        await user.press("escape")
        await user.sees("loud", absent="glibc")

    use(server, story)


def test_the_log_follows_new_lines_and_only_colors_of_it_reach_the_screen(server: FakeServer) -> None:
    server.logs["1", "bash"] = b"\x1b[31mred [bold]text[/bold]\x1b[0m\n\x1b]0;title\x07\x1b[2Jline two\n"

    async def story(user: User) -> None:
        await user.press("down", "l")
        await user.sees("red [bold]text[/bold]", "line two", "being written", "Log of bash, build 1")
        assert "title" not in user.screen
        server.logs["1", "bash"] += b"line three\n" + b"x" * 100 + b" long\nend\n"
        await user.sees("line three", " long", "complete")
        await user.press("escape")
        await user.sees("loud", absent="line three")

    use(server, story)


def test_a_missing_log_gives_the_reason(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.press("down", "enter")
        await user.sees("glibc-2-1")
        await user.press("enter")
        await user.sees("No such thing.")

    use(server, story)


def test_cancel_asks_and_only_yes_cancels(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.press("c")
        await user.sees("Cancel build 2, loud:1:20230101000000:c2?")
        await user.press("enter")
        await user.sees("loud", absent="Cancel build")
        assert acted(server) == []
        await user.press("c", "y")
        await user.sees("Build 2 is now failed.")
        assert acted(server) == [("PATCH", "module-builds/2")]

    use(server, story)


def test_retry_is_for_failed_builds_and_a_refusal_is_shown(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.press("r")
        await user.sees("Build 2 has not failed")
        await user.press("down", "r")
        await user.sees("Retry build 1,")
        server.answer = refusing
        await user.press("y")
        await user.sees("Not you [b]now[/b].")
        server.answer = answer
        await user.press("r", "y")
        await user.sees("Build 1 is now failed.")
        assert acted(server) == [("POST", "module-builds/1/retry")] * 2

    answer = server.answer

    def refusing(method: str, url: str, body: object) -> tuple[int, object]:
        return (403, {"message": "Not you [b]now[/b]."}) if method == "POST" else answer(method, url, body)

    use(server, story)


def test_a_filter_hides_lines_and_escape_shows_them_again(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.press("slash", *"quiet fail")
        await user.sees("1 of 2", "quiet:1", absent="loud")
        await user.press("enter", "s")
        await user.sees("order: module", "filter: quiet fail")
        await user.press("escape")
        await user.sees("loud", "quiet:1")

    use(server, story)


def test_help_lists_the_keys(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.press("question_mark")
        await user.sees("cancel the build, after a confirmation")
        await user.press("escape")
        await user.sees("loud", absent="after a confirmation")

    use(server, story)


def test_an_event_brings_a_new_build_to_the_screen_at_once(server: FakeServer) -> None:
    server.events = queue.Queue()

    async def story(user: User) -> None:
        await user.sees("loud")
        server.events.put(b"event: begin\nid: 1\ndata: {}\n\n")
        await user.sees("live")
        server.add(module_build(3, "wait", name="new"))
        server.events.put(b'event: state\nid: 2\ndata: {"module_build": 3}\n\n')
        await user.sees("new:1")

    use(server, story, interval=NEVER)


def test_without_events_the_server_is_asked_at_intervals(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.sees("read every 0.5 s")
        server.add(module_build(3, "wait", name="new"))
        await user.sees("new:1")

    use(server, story)


def test_a_lost_connection_is_shown_and_tried_again(server: FakeServer) -> None:
    answer = server.answer

    async def story(user: User) -> None:
        await user.sees("loud")
        server.answer = lambda *_: (503, {"message": "Gone [for] lunch."})
        await user.sees("Retrying: Gone [for] lunch.", "loud")
        server.answer = answer
        await user.sees("loud", "read every", absent="Retrying")

    use(server, story)


def test_hostile_texts_are_shown_and_not_interpreted(server: FakeServer) -> None:
    text = "[@click=app.stop]x[/] [red]y[/red] \x1b[2J\r\n\u202ez"
    server.add(
        module_build(3, "failed", name="[b]n[/b]", state_reason=text),
        component_build(9, 3, 1, package="[i]p[/i]\x07", state=3, state_reason=text),
    )
    shown = r"[@click=app.stop]x[/] [red]y[/red] \x1b[2J\r\n\u202ez"

    async def story(user: User) -> None:
        await user.sees("[b]n[/b]:1", shown)
        await user.press("enter")
        await user.sees(r"[i]p[/i]\x07", shown)
        await user.press("c", "l")
        assert not {"\x1b", "\x07", "\u202e"} & {*user.screen}

    use(server, story)


def test_without_color_only_the_terminal_s_own_colors_are_used(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def story(user: User) -> None:
        await user.sees("failed")
        seen.append(user.picture)

    use(server, story)
    monkeypatch.setenv("NO_COLOR", "1")
    use(server, story)
    colored, plain = ({*re.findall(r"fill: (#\w+)", picture)} for picture in seen)
    assert len(plain) == 2 < len(colored)


def test_a_list_of_too_many_lines_shows_the_first_ones_that_match(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_LINES", 3)
    server.add(module_build(3), *(component_build(9 + n, 3, 1, package=f"lib{n}") for n in range(6)))

    async def story(user: User) -> None:
        await user.sees("lib0", "lib2", "first 3: use a filter", absent="lib3")
        await user.press("slash", *"lib5")
        await user.sees("lib5", "1 of 6", absent="use a filter")

    use(server, story, ids=(3,), interval=NEVER)


def test_keys_pressed_right_after_the_filter_was_opened_belong_to_it(server: FakeServer) -> None:
    server.add(module_build(3), component_build(9, 3, 1, package="lib0"))

    async def story(user: User) -> None:
        await user.sees("lib0")
        screen = user.app.screen
        screen.action_filter()  # type: ignore[attr-defined]  # the type is any screen
        assert user.app.focused is screen.query_one(Input)

    use(server, story, ids=(3,), interval=NEVER)


def test_chosen_builds_end_the_view_when_they_have_ended(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.sees("No components yet.", "loud")
        server.add(module_build(2, "ready", name="loud"))
        limit = time.monotonic() + 30
        while user.app.is_running and user.app.return_value is None:
            assert time.monotonic() < limit
            await asyncio.sleep(0.02)

    assert use(server, story, ids=(2,)) == 0


def test_a_build_that_has_ended_stays_in_the_list_and_the_user_is_notified(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    notified: list[int] = []
    monkeypatch.setattr(notifying, "notify", lambda found, stream: notified.extend(each.id for each in found))
    # The newest ended builds do not include it.
    monkeypatch.setattr(board, "ENDED_LIMIT", 1)
    server.add(module_build(9, "ready"))

    async def story(user: User) -> None:
        await user.sees("1 active")
        server.add(module_build(2, "ready", name="loud"))
        await user.sees("0 active", "loud:1:20230101000000:c2  ready")
        limit = time.monotonic() + 30
        while not notified:
            assert time.monotonic() < limit
            await asyncio.sleep(0.02)

    use(server, story, notifies=True)
    assert notified == [2]


def test_quitting_before_chosen_builds_have_ended_is_130_and_cancels_nothing(server: FakeServer) -> None:
    async def story(user: User) -> None:
        await user.press("q")

    assert use(server, story, ids=(2, 1)) == 130
    assert use(server, story) == 0
    assert acted(server) == []


def test_the_view_opens_on_a_terminal_and_its_exit_code_is_that_of_the_builds(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, ...]] = []

    def run(self: Watch) -> int:
        shown.append(self.board.ids)
        server.add(module_build(2, "ready"))
        return 0

    monkeypatch.setenv("MBS_SERVER", server.url)
    monkeypatch.setattr(following, "_is_terminal", lambda: True)
    monkeypatch.setattr(Watch, "run", run)
    assert CliRunner().invoke(main, ["watch", "2", "1"]).exit_code == 1
    assert CliRunner().invoke(main, ["watch"]).exit_code == 0
    assert CliRunner().invoke(main, ["watch", "2", "--plain"]).exit_code == 0
    assert shown == [(2, 1), ()]


def test_without_the_library_lines_are_printed_and_the_extra_is_named(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MBS_SERVER", server.url)
    monkeypatch.setattr(following, "_is_terminal", lambda: True)
    monkeypatch.setattr(following, "find_spec", lambda name: None)
    server.add(module_build(2, "ready"))
    server.add(module_build(3, "build"))
    original = server.answer

    def ending(method: str, url: str, body: object) -> tuple[int, object]:
        answer = original(method, url, body)
        server.add(module_build(3, "ready"))
        return answer

    server.answer = ending
    result = CliRunner().invoke(main, ["watch", "3"])
    assert result.exit_code == 0
    assert "pip install '.[terminal]'" in result.stderr
    assert "3 quiet:1:20230101000000:c3 ready" in result.stdout


def test_without_ids_and_terminal_the_active_builds_are_followed(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MBS_SERVER", server.url)
    server.add(module_build(2, "ready"))
    result = CliRunner().invoke(main, ["watch"])
    assert (result.exit_code, result.stdout) == (0, "No builds are active.\n")


def test_other_commands_do_not_import_the_library() -> None:
    code = "import sys, mbs.client.cli; print([name for name in sys.modules if name.startswith('textual')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
