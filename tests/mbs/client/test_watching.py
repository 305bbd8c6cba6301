"""Following builds through changes and outages until they end."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from rich.console import Console

from mbs.client.display import follow, render
from mbs.client.rest import Client, Refused, UnexpectedAnswer, Unreachable
from mbs.client.snapshot import read_build
from mbs.client.watching import Snapshot, watch
from mbs.states import BuildState
from tests.mbs.client.fake_server import FakeServer, component_build, module_build


class Clock:
    """Time that passes only when somebody sleeps; then the next of ``steps`` happens."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.now = 0.0
        self.steps = list(steps)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.steps:
            self.steps.pop(0)()


def run(
    client: Client, ids: list[int], *steps: Callable[[], object], outage_timeout: float = 300
) -> list[Snapshot]:
    clock = Clock(*steps)
    return list(watch(client, ids, interval=2, outage_timeout=outage_timeout, sleep=clock.sleep, clock=clock))


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url)


def become(server: FakeServer, number: int, state: str, **more: object) -> Callable[[], None]:
    return lambda: server.add(module_build(number, state, **more))


def test_it_ends_when_all_builds_are_over(server: FakeServer, client: Client) -> None:
    server.add(module_build(1))
    server.add(module_build(2))
    seen = run(
        client, [2, 1], become(server, 1, "ready"), become(server, 2, "done"), become(server, 2, "ready")
    )
    states = [[build.state.word for build in snapshot.builds] for snapshot in seen]
    assert states == [["init", "init"], ["init", "ready"], ["done", "ready"], ["ready", "ready"]]
    assert seen[-1].succeeded


def test_a_build_that_is_over_is_not_asked_for_again(server: FakeServer, client: Client) -> None:
    server.add(module_build(1, "failed"))
    server.add(module_build(2))
    run(client, [1, 2], lambda: None, become(server, 2, "ready"))
    assert sum(path == "/module-build-service/2/module-builds/1" for _, path, _ in server.requests) == 1


def test_scratch_build_is_over_when_done(server: FakeServer, client: Client) -> None:
    server.add(module_build(1, "done", scratch=True))
    assert run(client, [1])[-1].succeeded


@pytest.mark.parametrize("state", ["failed", "garbage"])
def test_failed_build_ends_without_success(server: FakeServer, client: Client, state: str) -> None:
    server.add(module_build(1, state))
    last = run(client, [1])[-1]
    assert last.ended
    assert not last.succeeded


@pytest.mark.parametrize("outage", [502, 503, 500, "refused", "silent"])
def test_outage_of_a_minute_does_not_end_it(server: FakeServer, outage: int | str) -> None:
    answers = 0

    def flaky(request: httpx.Request) -> httpx.Response:
        nonlocal answers
        answers += 1
        if 2 < answers <= 32:  # the first look is two requests; 30 looks of 2 s are a minute
            if outage == "refused":
                raise httpx.ConnectError("refused", request=request)
            if outage == "silent":
                raise httpx.ReadTimeout("", request=request)
            assert isinstance(outage, int)
            return httpx.Response(outage, json={"message": "away"})
        status, body = server.answer(request.method, str(request.url), None)
        return httpx.Response(status, json=body)

    server.add(module_build(1))
    client = Client("http://h", transport=httpx.MockTransport(flaky))
    seen = run(client, [1], *[lambda: None] * 30, become(server, 1, "ready"))
    assert sum(bool(snapshot.outage) for snapshot in seen) == 30
    assert seen[5].builds[0].state == BuildState.INIT
    assert seen[-1].succeeded


def test_outage_longer_than_patience_ends_it(server: FakeServer, client: Client) -> None:
    server.add(module_build(1))
    with pytest.raises(Unreachable):
        run(client, [1], server.http.server_close, server.http.shutdown, outage_timeout=20)


def test_server_that_was_never_there_ends_it_at_once() -> None:
    with pytest.raises(Unreachable):
        run(Client("http://127.0.0.1:1"), [1])


def test_unknown_build_ends_it(server: FakeServer, client: Client) -> None:
    with pytest.raises(Refused, match="No such thing"):
        run(client, [7])


@pytest.mark.parametrize("wrong", [{"state": 77}, {"batch": float("inf")}, {"install": 1}])
def test_unreadable_build_is_an_error_and_no_crash(
    server: FakeServer, client: Client, wrong: dict[str, Any]
) -> None:
    server.add(module_build(1) | wrong)
    with pytest.raises(UnexpectedAnswer):
        run(client, [1])


def test_times_outside_the_calendar_are_unknown() -> None:
    assert read_build(module_build(1, time_submitted="0001-01-01T00:00:00+23:59")).submitted is None


def story(server: FakeServer) -> list[Callable[[], object]]:
    """A module of two components: one is built, the other fails."""
    one = component_build(1, 1, 1, package="libquiet")
    two = component_build(2, 1, 2, package="quiet")
    server.add(module_build(1, waiting_for={"what": "the \x1b[31mcode is fetched", "since": None}), one, two)

    def building() -> None:
        server.add(module_build(1, "build", batch=1))
        one.update(state=0, time_started="2023-01-01T00:00:10Z", task_url="http://log/1")

    def second() -> None:
        server.add(module_build(1, "build", batch=2))
        one.update(state=1, time_completed="2023-01-01T00:00:22Z", nvr="libquiet-1-1")
        two.update(state=0, time_started="2023-01-01T00:00:23Z")

    def failed() -> None:
        two.update(state=3, state_reason="gcc\nwas unhappy", time_completed="2023-01-01T00:01:28Z")
        error = {"code": "component_failed", "message": "", "hint": "Read the log."}
        ended = "2023-01-01T00:01:30Z"
        server.add(
            module_build(1, "failed", state_reason="quiet failed", error=error, time_completed=ended, batch=2)
        )

    return [building, lambda: None, second, failed]


def test_without_a_terminal_each_change_is_one_plain_line(server: FakeServer, client: Client) -> None:
    stream = io.StringIO()
    clock = Clock(*story(server))
    follow(watch(client, [1], sleep=clock.sleep, clock=clock), stream)
    who = "1 quiet:1:20230101000000:c1"
    assert stream.getvalue().splitlines() == [
        f"{who} the \\x1b[31mcode is fetched",
        f"{who} init",
        f"{who} libquiet: building http://log/1",
        f"{who} build, batch 1 of 2",
        f"{who} libquiet: complete libquiet-1-1 in 12 s http://log/1",
        f"{who} quiet: building",
        f"{who} build, batch 2 of 2",
        f"{who} quiet: failed (gcc\\nwas unhappy) in 1 min 5 s",
        f"{who} failed, after 1 min 30 s: quiet failed (Read the log.)",
    ]


def test_an_outage_and_its_end_are_printed_once_each() -> None:
    build = read_build(module_build(1))
    over = read_build(module_build(1, "ready", time_completed="2023-01-01T00:00:05Z"))
    away = Snapshot((build,), "It is away.")
    stream = io.StringIO()
    follow([Snapshot((build,)), away, away, Snapshot((build,)), away, Snapshot((over,))], stream)
    who = "1 quiet:1:20230101000000:c1"
    told = ["It is away. Retrying.", "The server is available again."]
    assert stream.getvalue().splitlines() == [
        f"{who} init",
        *told,
        *told,
        f"{who} ready, after 5 s",
    ]


def test_on_a_terminal_bars_show_batches_components_and_what_is_waited_for(server: FakeServer) -> None:
    for step in story(server)[:3]:
        step()
    build = read_build(
        server.builds[1] | {"waiting_for": {"what": "quiet is being built"}},
        [*server.components, component_build(3, 1, 3, package="last", waiting_for={"what": "last waits"})],
    )
    screen = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    screen.print(render(Snapshot((build,), "It is away."), datetime(2023, 1, 1, 0, 0, 28, tzinfo=UTC)))
    assert isinstance(screen.file, io.StringIO)
    lines = [line.strip() for line in screen.file.getvalue().splitlines()]
    assert lines[0] == "quiet:1:20230101000000:c1  #1  build  28 s"
    bars = [" ".join(line.replace("━", "").replace("╸", "").replace("╺", "").split()) for line in lines[1:]]
    assert bars[0] == "batch 1 1 of 1"
    assert bars[1].startswith("libquiet complete 12 s")
    assert "libquiet-1-1" in bars[1]
    assert bars[2] == "batch 2 0 of 1"
    assert bars[3] == "quiet building 5 s"
    assert bars[4:] == ["batch 3 0 of 1", "last waiting last waits", "It is away. Retrying."]


def test_a_large_batch_lists_only_what_builds_or_failed() -> None:
    components = [component_build(number, 1, 1, state=1) for number in range(40)]
    components += [component_build(50, 1, 1, state=0), component_build(51, 1, 1, state=3)]
    build = read_build(module_build(1, "build", batch=1), components)
    screen = Console(file=io.StringIO(), width=100)
    screen.print(render(Snapshot((build,)), datetime(2023, 1, 1, tzinfo=UTC)))
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert "41 of 42" in text
    assert [name for name in ("package0", "package39", "package50", "package51") if name in text] == [
        "package50",
        "package51",
    ]
