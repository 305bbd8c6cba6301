"""Slow git servers delay neither submissions nor builds of other users."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from builds import dispatch
from builds.models import ModuleBuild, clock
from builds.services.submission import sources
from builds.services.submission.patience import Patience
from builds.workflow import checks, steps
from builds.workflow.outcomes import Park
from mbs.errors import Unprocessable
from mbs.modulemd import parse_stream
from mbs.states import BuildState, ComponentState
from scm.components import ComponentRequest, OpenComponent, VerifiedComponent, check_components
from scm.options import ScmOptions
from tests.builds.conftest import Forge, document, everything, submitted
from tests.gitrepos import commit, url
from tests.scm.servers import silent

TWO = {"alpha": "buildorder: 1", "beta": "buildorder: 2"}


def unchecked(
    requests: Sequence[ComponentRequest], options: ScmOptions, patience: float
) -> list[VerifiedComponent | OpenComponent]:
    """Check components without waiting for any."""
    return check_components(requests, options, 0)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document takes all the time that a submission waits for git: every component is open then."""
    monkeypatch.setattr(sources, "check_components", unchecked)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Tasks that were sent."""
    sent: list[tuple] = []
    monkeypatch.setattr(dispatch, "send_now", lambda *task, countdown=0: sent.append(task))
    return sent


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    keys: list[str] = []
    monkeypatch.setattr(dispatch, "wake", keys.append)
    return keys


def refs(build: ModuleBuild) -> dict[str, tuple[str | None, str]]:
    rows = build.component_builds.filter(build_time_only=False)
    return {c.package: (c.ref, c.unresolved_ref) for c in rows}


def test_a_silent_git_server_delays_a_submission_at_most_by_the_option(
    forge: Forge, sent: list[int], option: Callable[..., None]
) -> None:
    scmurl = forge.module("tiny", document(TWO))
    with silent() as port:
        option(SCM_SUBMIT_TIMEOUT=0.5, RPMS_DEFAULT_REPOSITORY=f"git://127.0.0.1:{port}/")
        begun = time.monotonic()
        (build,) = submitted(scmurl=scmurl)
    # Fetching the document and starting processes takes time too; one git command may take 60 s.
    assert time.monotonic() - begun < 20
    assert refs(build) == {"alpha": (None, "main"), "beta": (None, "main")}
    assert sent == [build.pk]


def test_a_submission_does_not_wait_longer_for_a_silent_server_of_the_document(
    forge: Forge, option: Callable[..., None]
) -> None:
    before = everything()
    with silent() as port:
        place = f"git://127.0.0.1:{port}/"
        option(SCM_SUBMIT_TIMEOUT=1, SCMURLS=(place,))
        begun = time.monotonic()
        with pytest.raises(Unprocessable) as caught:
            submitted(scmurl=f"{place}tiny?#main")
    assert time.monotonic() - begun < 50, "one git command may take 60 s"
    assert caught.value.code == "repository_too_slow"
    assert f"{place}tiny could not be read in time" in caught.value.message
    assert "A request waits 1 seconds at most" in caught.value.message
    assert "send the request again" in caught.value.hint
    assert everything() == before


def test_included_modules_share_the_time_of_the_document(forge: Forge, option: Callable[..., None]) -> None:
    """Each server takes a part of it; together they take no longer."""
    with silent() as port:
        place = f"git://127.0.0.1:{port}/"
        allowed = (url(forge.folder / "modules") + "/", place)
        option(SCM_SUBMIT_TIMEOUT=5, MODULES_ALLOW_REPOSITORY=True, SCMURLS=allowed)
        includes = f"""    modules:
      other: {{rationale: needed, repository: '{place}other'}}
"""
        scmurl = forge.module("tiny", document({"alpha": ""}, more=includes))
        begun = time.monotonic()
        with pytest.raises(Unprocessable) as caught:
            submitted(scmurl=scmurl)
    assert time.monotonic() - begun < 50
    assert (caught.value.code, "/other could not be read" in caught.value.message) == (
        "repository_too_slow",
        True,
    )


def test_components_are_waited_for_as_long_as_the_document_has_left(
    forge: Forge, sent: list[int], option: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def asked(
        requests: Sequence[ComponentRequest], options: ScmOptions, patience: float
    ) -> list[VerifiedComponent | OpenComponent]:
        given.append(patience)
        return unchecked(requests, options, patience)

    monkeypatch.setattr(sources, "check_components", asked)
    option(SCM_SUBMIT_TIMEOUT=600)
    submitted(scmurl=forge.module("tiny", document(TWO)))
    assert 0 < given[0] < 600
    option(SCM_SUBMIT_TIMEOUT=0)
    assert Patience().left == 0


def test_faults_that_are_known_in_time_are_refused_at_once(
    forge: Forge, sent: list[int], option: Callable[..., None]
) -> None:
    text = document({"alpha": "ref: nowhere", "beta": "repository: PLACE"})
    with silent() as port:
        option(SCM_SUBMIT_TIMEOUT=5, RPMS_ALLOW_REPOSITORY=True, ALLOW_PRIVATE_SCM_HOSTS=True)
        scmurl = forge.module("tiny", text.replace("PLACE", f"'git://127.0.0.1:{port}/beta'"))
        with pytest.raises(Unprocessable) as caught:
            submitted(scmurl=scmurl)
    assert [(p.component, p.code) for p in caught.value.problems] == [("alpha", "ref_unknown")]


@pytest.mark.usefixtures("hurried")
def test_a_build_in_init_shows_that_it_waits_for_git(
    forge: Forge, sent: list[int], asked: list[tuple]
) -> None:
    (build,) = submitted(scmurl=forge.module("tiny", document(TWO)))
    assert steps.initialize(build.pk, build.run) == Park(
        f"check:{build.pk}", "git is asked about alpha, beta", "responses of the git servers"
    )
    assert asked == [("check.components", build.pk)]


@pytest.mark.usefixtures("hurried")
def test_unresolved_branches_are_resolved_to_commits(
    forge: Forge, sent: list[int], asked: list[tuple], woken: list[str]
) -> None:
    (build,) = submitted(scmurl=forge.module("tiny", document(TWO)))
    assert (
        "rpms" not in parse_stream(build.modulemd, strict=False).mbs
        or not parse_stream(build.modulemd, strict=False).mbs["rpms"]
    )
    checks.check(build.pk)
    assert refs(build) == {"alpha": (forge.head("alpha"), ""), "beta": (forge.head("beta"), "")}
    build.refresh_from_db()
    noted = parse_stream(build.modulemd, strict=False).mbs["rpms"]
    assert noted == {"alpha": {"ref": forge.head("alpha")}, "beta": {"ref": forge.head("beta")}}
    assert woken == [f"check:{build.pk}"]
    assert build.checking_until is None
    assert steps.initialize(build.pk, build.run) is None
    build.refresh_from_db()
    assert build.state == BuildState.WAIT


@pytest.mark.usefixtures("hurried", "asked", "woken")
def test_all_faults_fail_the_build_together(forge: Forge, sent: list[int]) -> None:
    (build,) = submitted(
        scmurl=forge.module("tiny", document({"alpha": "ref: nowhere", "beta": "ref: lost"}))
    )
    checks.check(build.pk)
    build.refresh_from_db()
    assert (build.state, build.error_code) == (BuildState.FAILED, "components_unavailable")
    assert "alpha: There is no 'nowhere' in" in build.state_reason
    assert "beta: There is no 'lost' in" in build.state_reason
    submitted(scmurl=build.scmurl)
    build.refresh_from_db()
    assert build.state == BuildState.INIT
    assert refs(build) == {"alpha": (None, "nowhere"), "beta": (None, "lost")}


@pytest.mark.usefixtures("asked", "woken")
def test_finished_components_are_compared_in_init_if_git_was_slow(
    forge: Forge, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (build,) = submitted(scmurl=forge.module("tiny", document(TWO)))
    built = forge.head("alpha")
    build.component_builds.filter(package="alpha").update(state=ComponentState.COMPLETE, nvr="alpha-1-1")
    ModuleBuild.objects.filter(pk=build.pk).update(state=BuildState.FAILED, arch_names=["x86_64"])
    changed = forge.change("alpha")
    monkeypatch.setattr(sources, "check_components", unchecked)
    submitted(scmurl=build.scmurl)
    build.refresh_from_db()
    assert build.state == BuildState.INIT
    assert refs(build)["alpha"] == (built, "main")
    checks.check(build.pk)
    build.refresh_from_db()
    assert (build.state, build.error_code) == (BuildState.FAILED, "submitted_differently")
    assert f"alpha is built from {built}, and was submitted as {changed}" in build.state_reason
    assert refs(build) == {"alpha": (built, ""), "beta": (forge.head("beta"), "")}


@pytest.mark.usefixtures("hurried")
def test_one_owner_has_so_many_builds_checked_at_a_time(
    forge: Forge, sent: list[int], asked: list[tuple], woken: list[str], option: Callable[..., None]
) -> None:
    option(SCM_CHECKS_PER_OWNER=1)
    first, second, theirs = (
        submitted(scmurl=forge.module(f"tiny{number}", document({"alpha": ""})), owner=owner)[0]
        for number, owner in enumerate(("anna", "anna", "bob"))
    )
    ModuleBuild.objects.filter(pk=first.pk).update(checking_until=clock.now() + timedelta(seconds=30))
    checks.check(second.pk)
    checks.check(theirs.pk)
    assert woken == [f"check:{theirs.pk}"]
    ModuleBuild.objects.filter(pk=first.pk).update(checking_until=None)
    asked.clear()
    checks.check(first.pk)
    assert woken[1:] == [f"check:{first.pk}"]
    assert asked == [("check.components", second.pk)]
    checks.check(second.pk)
    assert refs(second)["alpha"] == (forge.head("alpha"), "")


def test_a_repository_that_changes_meanwhile_is_read_once(forge: Forge, sent: list[int]) -> None:
    """The commit that is recorded is the one that was looked at."""
    (build,) = submitted(scmurl=forge.module("tiny", document({"alpha": ""})))
    looked_at = refs(build)["alpha"][0]
    commit(forge.folder / "rpms" / "alpha", {"more": "1"}, when="2022-01-01T00:00:00Z")
    assert refs(build)["alpha"] == (looked_at, "")
