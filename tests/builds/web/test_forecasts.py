"""Expected times of builds, on pages and as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from builds.models import ComponentBuild, ModuleBuild, Phase
from builds.selectors import predictions
from builds.selectors.predictions import Habits
from builds.workflow import sweeps
from mbs.states import BuildState, ComponentState
from tests.builds.web.browser import BROWSER, Get
from tests.factories import component_build, module_build

pytestmark = pytest.mark.django_db
#: Predicted errors of the build below, in seconds. The simulations depend on the ids of components.
ERRORS = range(9, 25)


@pytest.fixture
def queued(option: Callable[..., None]) -> ModuleBuild:
    """A build whose only component waits for the one slot, which is free in a minute."""
    option(NUM_CONCURRENT_BUILDS=1)
    cache.set("predictions:measured", Habits((0.0,), (0.0,), ratios=(0.9, 1.0, 1.1), typical=30.0), 60)
    now = timezone.now()
    under_way: dict[str, Any] = {"state": BuildState.BUILD, "batch": 1, "batches": 1, "phase": Phase.BUILDING}
    busy = module_build(owner="bob", time_submitted=now - timedelta(hours=1), **under_way)
    started = now - timedelta(seconds=40)
    component_build(busy, batch=1, state=ComponentState.BUILDING, weight=100, time_started=started)
    build = module_build(name="queued", owner="ann", time_submitted=now - timedelta(minutes=1), **under_way)
    component_build(build, batch=1, package="libfoo", weight=60)
    return build


@pytest.mark.parametrize("path", ["/", "/builds/{}"])
def test_pages_show_place_and_time(get: Get, queued: ModuleBuild, path: str) -> None:
    page = get(path.format(queued.pk))
    found = re.search(r"place 1 of 1 for a slot, ready about (\d\d:\d\d) UTC \(±(\d+) s\)", page.text)
    assert found
    ready = queued.time_submitted + timedelta(seconds=180)
    assert found[1] in {f"{ready + timedelta(seconds=later):%H:%M}" for later in (-10, 0, 10)}
    assert int(found[2]) in ERRORS


def test_builds_that_have_ended_are_not_expected(get: Get) -> None:
    build = module_build(state=BuildState.READY)
    for path in ("/", f"/builds/{build.pk}"):
        assert "ready about" not in get(path).text


def test_bars_show_the_expected_time(get: Get, queued: ModuleBuild) -> None:
    page = get(f"/builds/{queued.pk}")
    (bar,) = [
        attributes for tag, attributes in page.tags if tag == "rect" and attributes["class"] == "expected"
    ]
    # A minute since the submission, a minute until the slot is free, and a minute of building.
    assert float(bar["x"][:-1]) == pytest.approx(200 / 3, abs=3)
    assert float(bar["width"][:-1]) == pytest.approx(100 / 3, abs=3)
    assert re.search(r"about (5[5-9] s|1 min 0[0-5] s)", page.text)
    assert re.search(r"2 min 5[5-9] s|3 min 0[0-5] s", page.text), (
        "the axis goes on to the end that is expected"
    )


def test_the_queue_shows_slots_by_owner_and_explains_the_rule(get: Get, queued: ModuleBuild) -> None:
    page = get("/queue")
    assert "1 component builds in 1 slot, 1 waits for one." in page.text
    assert "A free slot goes to the owner with the fewest components building" in page.text
    assert "bob 1 0 ann 0 1" in page.text
    assert f"/builds/{queued.pk}" in page.all("a", "href")


@pytest.mark.parametrize("path", ["/", "/builds/{}", "/queue", "/queue?as=json"])
def test_too_many_components_are_said_where_the_prediction_would_be(
    client: Client, queued: ModuleBuild, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def shown() -> str:
        return client.get(path.format(queued.pk), headers=BROWSER).content.decode()

    monkeypatch.setattr(predictions, "MAX_SIMULATED", 1)
    assert "There is no prediction: more than 2000 components are active." in shown()
    sweeps.run(predictions.FORECAST)
    assert "There is no prediction" not in shown()


def test_without_a_prediction_the_queue_shows_the_owners_and_their_slots(
    get: Get, client: Client, queued: ModuleBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "MAX_SIMULATED", 1)
    text = get("/queue").text
    assert "1 component builds in 1 slot, 1 waits for one." in text
    assert "bob 1 0 ann 0 1" in text
    assert "There is no prediction of the components that get the next slots." in text
    said = client.get("/queue").json()
    assert (said["building"], said["waiting"], said["next"], said["made"]) == (1, 1, [], None)
    assert said["owners"][0] == {"owner": "bob", "building": 1, "waiting": 0}


def test_a_stored_prediction_has_its_time(get: Get, queued: ModuleBuild, monkeypatch: Any) -> None:
    monkeypatch.setattr(predictions, "MAX_SIMULATED", 1)
    sweeps.run(predictions.FORECAST)
    text = get("/queue").text
    assert "the prediction is made at regular intervals, and this one was made at" in text
    assert "place 1 of 1 for a slot, ready about" in get("/").text


def test_an_empty_queue_has_a_message(get: Get) -> None:
    assert "There is no prediction" in get("/queue").text


def test_programs_get_the_queue_as_json(client: Client, queued: ModuleBuild) -> None:
    said = client.get("/queue").json()
    assert (said["slots"], said["building"], said["waiting"]) == (1, 1, 1)
    assert said["owners"][0] == {"owner": "bob", "building": 1, "waiting": 0}
    assert len(said["builds"]) == 2
    (only,) = client.get(f"/queue?build={queued.pk}").json()["builds"]
    assert (only["id"], only["place"], only["of"]) == (queued.pk, 1, 1)
    assert round(only["spread_seconds"]) in ERRORS
    assert client.get("/queue?build=x").status_code == 400
    assert client.post("/queue").status_code == 405


def test_the_queue_shows_the_next_owner(get: Get, client: Client, queued: ModuleBuild) -> None:
    page = get("/queue")
    text = page.text.split("Starts about")[1]
    assert text.strip().startswith(f"1 libfoo {queued.pk} ann")
    (first,) = client.get("/queue").json()["next"]
    assert [first[key] for key in ("place", "package", "build", "owner")] == [1, "libfoo", queued.pk, "ann"]
    (building,) = ComponentBuild.objects.filter(state=ComponentState.BUILDING)
    assert building.time_started is not None
    lasted = datetime.fromisoformat(first["start"]) - building.time_started
    assert lasted.total_seconds() == pytest.approx(100, abs=10)


def test_the_queue_is_json_for_a_browser_that_asks_for_it(get: Get, client: Client) -> None:
    (address,) = [href for href in get("/queue").all("a", "href") if href.startswith("/queue?")]
    assert client.get(address, headers=BROWSER).json()["slots"] >= 0
