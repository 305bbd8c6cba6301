"""The admin's start page."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from builds.models import LoadSample, ModuleBuild, OutboxMessage, Phase, Sweep, Wait
from builds.selectors import metrics
from builds.selectors.overview import Hour
from builds.services import audit
from builds.web.load_plots import HEIGHT, WIDTH, curve, hour_plot
from builds.workflow import observation, sweeps
from buildsys.base import BuildSystemError, BuildSystemUnavailable
from mbs import wait_keys
from mbs.states import BuildState, ComponentState
from tests.builds.web.browser import Page
from tests.factories import component_build, module_build, wait

pytestmark = pytest.mark.django_db
START = "/admin/"


@pytest.fixture(autouse=True)
def fresh_counts() -> None:
    for counts in metrics.ENDED_COUNTS.values():
        counts.reset()


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def start_page(client: Client) -> Page:
    return Page(client.get(START).content.decode())


def building(owner: str, state: ComponentState | None = ComponentState.BUILDING) -> ModuleBuild:
    """A build in its first batch with one component."""
    under_way = {"state": BuildState.BUILD, "phase": Phase.BUILDING, "batch": 1, "batches": 1}
    build = module_build(owner=owner, run=1, **under_way)
    component_build(build, batch=1, state=state)
    return build


def test_builds_are_counted_by_state(operator: Client) -> None:
    for state in (BuildState.READY, BuildState.READY, BuildState.FAILED, BuildState.INIT):
        module_build(state=state)
    text = start_page(operator).text
    assert "init 1 wait 0 build 0 done 0 failed 1 ready 2 garbage 0" in text


def test_slots_are_shown_by_owner(operator: Client, option: Any) -> None:
    option(NUM_CONCURRENT_BUILDS=3)
    building("ann")
    building("ann")
    building("bob", state=None)
    text = start_page(operator).text
    assert "slots in use 2 of 3 free slots 1 wait for a slot 1" in text
    assert "Owner Has slots Waits for slots ann 2 0 bob 0 1" in text


def test_a_component_that_is_not_next_does_not_wait_for_a_slot(operator: Client) -> None:
    build = building("ann")
    component_build(build, batch=2, state=None)
    component_build(build, batch=1, state=None, blocked=True)
    assert "wait for a slot 0" in start_page(operator).text


@pytest.mark.parametrize("kind", list(wait_keys.Kind))
def test_the_oldest_waits_are_shown_with_what_to_do(operator: Client, kind: wait_keys.Kind) -> None:
    now = timezone.now()
    build = module_build(name="slow", state=BuildState.BUILD, run=1)
    wait(build, key=f"{kind.prefix}7", what="something happens", created_at=now - timedelta(hours=2))
    wait(build, what="of an earlier run", run=0)
    text = start_page(operator).text
    assert f"2 h 00 min slow:1 #{build.pk} something happens" in text
    assert text.split("something happens ")[1].split(" ")[0] in ("It", "Check", "Open", "Fix")
    assert "Open the build and read" not in text, "each kind has its own advice"
    assert "of an earlier run" not in text


def test_an_outage_is_to_be_fixed_first(operator: Client) -> None:
    what = "an outage: the hub is away; until it is over: x is being built"
    wait(module_build(run=1), key="component:1", what=what)
    assert "Fix the outage that the text names." in start_page(operator).text


def test_late_and_failed_sweeps_are_marked(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("good", "slow", "broken", "running", "new")
    schedule = {name: {"task": f"sweep.{name}", "schedule": 600.0} for name in names}
    monkeypatch.setitem(current_app.conf, "beat_schedule", schedule)
    now = timezone.now()
    Sweep.objects.create(name="good", started_at=now, finished_at=now)
    late = now - timedelta(hours=1)
    Sweep.objects.create(name="slow", started_at=late, finished_at=late + timedelta(seconds=2))
    Sweep.objects.create(name="broken", started_at=now, finished_at=now, error="It broke.")
    Sweep.objects.create(name="running", started_at=late, leased_until=now + timedelta(hours=1))
    text = start_page(operator).text
    states = {name: text.split(f" {name} 10 min 00 s ")[1] for name in names}
    assert re.match(r"\d+ s ago 0 s ok", states["good"])
    assert re.match(r"1 h 00 min ago 2 s late", states["slow"])
    assert re.match(r"\d+ s ago 0 s failed", states["broken"])
    assert re.match(r"1 h 00 min ago ok", states["running"])
    assert re.match(r"never late", states["new"])


def test_the_outbox_is_shown(operator: Client) -> None:
    build, hour_ago = module_build(), timezone.now() - timedelta(hours=1)
    OutboxMessage.objects.create(module_build=build, topic="t", body={}, created_at=hour_ago)
    OutboxMessage.objects.create(module_build=build, topic="t", body={}, set_aside_at=hour_ago)
    OutboxMessage.objects.create(module_build=build, topic="t", body={}, published_at=hour_ago)
    text = start_page(operator).text
    assert "messages to publish 1 (oldest 1 h 00 min) messages set aside 1" in text


def test_the_failure_rate_of_the_last_day_leaves_canceled_and_older_builds_out(operator: Client) -> None:
    now = timezone.now()
    for state in (BuildState.READY, BuildState.READY, BuildState.READY, BuildState.FAILED):
        module_build(state=state, time_completed=now)
    module_build(state=BuildState.FAILED, error_code="canceled", time_completed=now)
    module_build(state=BuildState.FAILED, time_completed=now - timedelta(days=2))
    page = start_page(operator)
    assert "failed in 24 h 1 of 4 (25 %)" in page.text
    assert "3 ready, 1 failed, 1 canceled" in page.text


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Worker -> its queues, as Celery names them."""
    found: dict[str, Any] = {}

    class Inspect:
        def active_queues(self) -> dict[str, Any] | None:
            return found or None

    monkeypatch.setattr(type(current_app.control), "inspect", lambda *_, **__: Inspect())
    return found


def test_workers_are_shown_with_their_queues(operator: Client, workers: dict[str, Any], option: Any) -> None:
    option(SYSTEM="local", POLLING_INTERVAL=600)
    workers["steps@here"] = [{"name": "workflow"}, {"name": "sweeps"}]
    sweeps.run("samples")
    text = start_page(operator).text
    assert re.search(r"steps@here sweeps, workflow \d+ s ago", text)
    assert "No worker serves the queues polls, checks, builds." in text


def test_a_worker_that_went_away_is_remembered_for_a_day(
    operator: Client, workers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, option: Any
) -> None:
    option(POLLING_INTERVAL=600)
    workers["one@here"] = [{"name": "workflow"}]
    sweeps.run("samples")
    workers.clear()
    workers["two@here"] = [{"name": "polls"}]
    now = observation.clock.now()
    monkeypatch.setattr("builds.workflow.observation.clock.now", lambda: now + timedelta(hours=1))
    sweeps.run("samples")
    text = start_page(operator).text
    assert "one@here workflow 1 h 00 min ago : does not answer" in text
    assert "No worker serves the queues workflow," in text
    monkeypatch.setattr("builds.workflow.observation.clock.now", lambda: now + timedelta(days=2))
    sweeps.run("samples")
    assert list(Sweep.objects.get(name="samples").result["workers"]) == ["two@here"]


def test_a_sample_has_the_load(workers: dict[str, Any]) -> None:
    build = building("ann")
    building("bob", state=None)
    wait(build, created_at=timezone.now() - timedelta(minutes=5))
    OutboxMessage.objects.create(module_build=build, topic="t", body={})
    sweeps.run("samples")
    sample = LoadSample.objects.get()
    assert (sample.building, sample.waiting, sample.unpublished) == (1, 1, 1)
    assert sample.oldest_wait == pytest.approx(300, abs=10)


def test_old_samples_are_deleted(workers: dict[str, Any]) -> None:
    LoadSample.objects.create(time=timezone.now() - timedelta(days=8), building=1, waiting=1)
    sweeps.run("samples")
    assert sweeps.clean_up()["samples"] == 1
    assert LoadSample.objects.count() == 1


def test_samples_of_the_last_day_are_drawn(operator: Client) -> None:
    now = timezone.now()
    for minutes, waiting in ((10, 3), (40, 7), (60 * 30, 900)):
        LoadSample.objects.create(
            time=now - timedelta(minutes=minutes), building=2, waiting=waiting, oldest_wait=90
        )
    labels = start_page(operator).all("svg", "aria-label")
    assert "Components in the last day: at most 2 building and 7 waiting for a slot" in labels
    assert "Age of the oldest wait in the last day; at most 1 min 30 s" in labels


class System:
    """A build system that can be asked."""

    error: Exception | None = None

    def ping(self) -> None:
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    "error",
    [BuildSystemUnavailable("The hub does not answer."), BuildSystemError("The hub does not answer.")],
)
def test_a_build_system_that_is_away_is_named(
    operator: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    system = System()
    monkeypatch.setattr(observation, "build_system", lambda: system)
    parked = wait(module_build(), key="component:1", what="x is being built")
    system.error = error
    sweeps.run("build_system")
    assert "The hub does not answer." in Sweep.objects.get(name="build_system").error
    assert "The build system is away:" in start_page(operator).text
    system.error = None
    sweeps.run("build_system")
    assert "The build system is away:" not in start_page(operator).text
    assert Wait.objects.get(pk=parked.pk).what == "x is being built"


def test_the_latest_actions_are_shown(operator: Client) -> None:
    build = module_build()
    audit.record(audit.CANCELED, "ann", build)
    audit.record(audit.TOKEN_CREATED, "<b>bob</b>", subject="script")
    page = start_page(operator)
    assert f"ann canceled {build.nsvc}" in page.text
    assert "<b>bob</b>" not in page.html


def test_staff_who_may_not_see_builds_see_no_overview(client: Client) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    client.force_login(user)
    assert "Oldest waits" not in start_page(client).text
    user.user_permissions.add(Permission.objects.get(codename="view_modulebuild"))
    assert "Oldest waits" in start_page(client).text


def test_the_number_of_statements_does_not_depend_on_the_number_of_builds(
    operator: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        build = building(f"owner{number}")
        wait(build)
        audit.record(audit.SUBMITTED, "ann", build)
    with django_assert_max_num_queries(20):
        operator.get(START)


def test_a_curve_has_the_highest_sample_of_each_step_and_gaps() -> None:
    now = timezone.now()
    ago = [timedelta(minutes=minutes) for minutes in (601, 600, 590, 60, 50)]
    found = curve([(now - each, number) for each, number in zip(ago, (1.0, 5, 2, 4, 0), strict=True)], now)
    assert found is not None
    assert len(found.lines) == 2, "the service did not run in between"
    assert (found.most, found.last) == (5, 0)
    places = [tuple(map(float, point.split(","))) for line in found.lines for point in line.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert min(y for _, y in places) == pytest.approx(1)


def test_there_is_no_plot_of_nothing() -> None:
    now = timezone.now()
    assert curve([], now) is None
    assert hour_plot([Hour(now)]) is None


def test_bars_are_stacked_and_as_high_as_their_numbers() -> None:
    found = hour_plot([Hour(timezone.now(), submitted=4, ready=2, failed=1, canceled=1)])
    assert found is not None
    bars = found.hours[0].bars
    assert [(bar.kind, float(bar.height), float(bar.y)) for bar in bars] == [
        ("submitted", 90, 0),
        ("ready", 45, 45),
        ("failed", 22.5, 22.5),
        ("canceled", 22.5, 0),
    ]
