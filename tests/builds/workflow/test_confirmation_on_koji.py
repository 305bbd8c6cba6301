"""Messages of the hub about a build that come before the end of its task."""

from __future__ import annotations

from math import inf

import koji
import pytest

from builds import dispatch
from builds.services import confirmation
from builds.workflow import steps
from mbs import macros
from mbs.states import ComponentState
from tests.builds.workflow.on_koji import build_in_init, prepared
from tests.buildsys.koji.double import HubDouble

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_build_that_fails_before_its_task_is_asked_about_again(
    hub: HubDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = prepared(hub, build_in_init(["one"]))
    component = build.component_builds.get(package=macros.PACKAGE)
    hub.books.seconds["build"] = inf
    steps.start_batch(build.pk, 0, 0)
    sent = []
    monkeypatch.setattr(dispatch, "send_now", lambda *args, countdown: sent.append((*args, countdown)))
    with hub.lock:
        component.refresh_from_db()
        koji_task = hub.books.tasks[component.task_id]
        failed = hub.books.new_build("module-build-macros-0.1-1.x", "BUILDING", task_id=koji_task.id)
        hub.books.set_state(failed, "FAILED")

    for _ in range(2):
        assert confirmation.confirm_end(component, failed["nvr"]) == set()
    assert sent == [("poll.ended", component.pk, koji_task.id, 1, 2)] * 2
    confirmation.confirm_again(component.pk, koji_task.id, len(confirmation.AGAIN))
    assert len(sent) == 2, "the sweep does the rest"

    with hub.lock:
        koji_task.fault = koji.BuildError("error building package")
        hub.books.close(koji_task, "FAILED")
    confirmation.confirm_again(component.pk, koji_task.id, 1)
    component.refresh_from_db()
    assert (component.state, component.state_reason) == (ComponentState.FAILED, "error building package")
    confirmation.confirm_again(component.pk, koji_task.id, 1)
    assert len(sent) == 2
