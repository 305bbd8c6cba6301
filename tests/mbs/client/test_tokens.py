"""``mbs token`` against the service over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builds.models import ApiToken
from mbs.client.cli import main
from mbs.states import BuildState
from tests.builds.services.auth.oidc_provider import Issuer
from tests.factories import module_build

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def server(live_server: Any, redis_url: str, asking: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBS_SERVER", live_server.url)
    monkeypatch.setenv("MBS_TOKEN", asking.opaque())


def mbs(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_token_is_made_used_listed_and_revoked() -> None:
    made = mbs("token", "create", "nightly builds", "--scope", "cancel", "--days", "2")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert token.startswith("mbs_")
    build = module_build(owner="ann", state=BuildState.BUILD)
    canceled = mbs("cancel", str(build.pk), "--token", token)
    assert "canceled: Canceled by ann." in canceled.stdout
    assert "nightly builds" in mbs("token", "list").stdout
    number = str(ApiToken.objects.get().pk)
    assert mbs("token", "revoke", number).stdout == f"{number} nightly builds revoked\n"
    assert json.loads(mbs("token", "list", "--json").stdout)[0]["time_revoked"]
    refused = mbs("cancel", str(build.pk), "--token", token)
    assert (refused.exit_code, "unknown or revoked" in refused.stderr) == (2, True)


def test_retry_needs_its_scope() -> None:
    build = module_build(owner="ann", state=BuildState.FAILED)
    token = mbs("token", "create", "x", "--scope", "cancel").stdout.strip()
    refused = mbs("retry", str(build.pk), "--token", token)
    assert (refused.exit_code, "lacks the scope submit" in refused.stderr) == (2, True)
    assert " init: Resumed by ann." in mbs("retry", str(build.pk)).stdout


def test_a_build_that_cannot_be_rebuilt_gives_the_reason() -> None:
    refused = mbs("rebuild", str(module_build(owner="ann", state=BuildState.READY).pk))
    assert (refused.exit_code, "was not submitted to this service from a commit" in refused.stderr) == (
        2,
        True,
    )
