"""Guessed passwords of operators, and guessed tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache import caches
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from builds.services.auth.lookup_cache import REFUSAL_TIME
from tests.builds.rest import ROOT
from tests.builds.services.auth.oidc_provider import Issuer

pytestmark = pytest.mark.django_db
GUESSES = django_settings.AXES_FAILURE_LIMIT
PASSWORD = "correct horse"


@pytest.fixture
def operator() -> User:
    return User.objects.create_superuser("operator", password=PASSWORD)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were really checked."""
    checked: list[str] = []
    check = User.check_password
    monkeypatch.setattr(User, "check_password", lambda user, text: checked.append(text) or check(user, text))
    return checked


def log_in(password: str, address: str, username: str = "operator") -> HttpResponse:
    form = {"username": username, "password": password}
    return Client().post("/admin/login/", form, REMOTE_ADDR=address, headers={"Accept": "application/json"})


def guess(address: str, times: int = GUESSES, username: str = "operator") -> None:
    for number in range(times):
        log_in(f"wrong {number}", address, username)


def test_after_some_guesses_no_password_is_checked_any_more(operator: User, checks: list[str]) -> None:
    guess("192.0.2.1", GUESSES + 20)
    assert len(checks) == GUESSES
    answer = log_in(PASSWORD, "192.0.2.1")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_logins")
    assert answer["Retry-After"] == "300"


def test_guesses_from_many_addresses_count_together(operator: User, checks: list[str]) -> None:
    for number in range(GUESSES + 20):
        guess(f"192.0.2.{number}", 1)
    assert len(checks) == GUESSES


def test_guesses_of_many_users_from_one_address_count_together(operator: User, checks: list[str]) -> None:
    for number in range(GUESSES):
        guess("192.0.2.1", 1, f"user{number}")
    assert log_in(PASSWORD, "192.0.2.1").status_code == 429


def test_the_ipv6_addresses_of_one_customer_guess_passwords_together(operator: User) -> None:
    for number in range(GUESSES):
        guess(f"2001:db8::{number:x}", 1, f"user{number}")
    assert log_in(PASSWORD, "2001:db8::ffff").status_code == 429
    assert log_in(PASSWORD, "2001:db8:0:1::1").status_code == 302


def test_a_stranger_does_not_lock_an_operator_out_of_an_address_that_they_use(operator: User) -> None:
    assert log_in(PASSWORD, "192.0.2.1").status_code == 302
    guess("198.51.100.7", GUESSES + 5)
    assert log_in(PASSWORD, "192.0.2.1").status_code == 302
    assert log_in(PASSWORD, "192.0.2.2").status_code == 429


def test_an_address_that_is_known_may_not_be_guessed_from_either(operator: User, checks: list[str]) -> None:
    log_in(PASSWORD, "192.0.2.1")
    checks.clear()
    guess("192.0.2.1", GUESSES + 20)
    assert len(checks) == GUESSES


def test_the_lock_ends_by_itself_and_guesses_meanwhile_do_not_prolong_it(operator: User) -> None:
    guess("192.0.2.1", GUESSES + 5)
    before = timezone.now() - timedelta(seconds=301)
    assert AccessAttempt.objects.update(attempt_time=before)
    assert log_in(PASSWORD, "192.0.2.1").status_code == 302


def test_the_count_does_not_lie_in_redis_or_in_one_process(operator: User) -> None:
    guess("192.0.2.1")
    for name in django_settings.CACHES:
        caches[name].clear()
    assert log_in(PASSWORD, "192.0.2.1").status_code == 429


def test_rows_about_failed_logins_are_bounded_and_contain_no_password(operator: User) -> None:
    for number in range(GUESSES + 20):
        Client().post(
            f"/admin/login/?next=/{'n' * 5000}",
            {"username": "operator", "password": f"hunter{number}", "filler": "x" * 20_000},
            headers={"User-Agent": f"{number}" * 300},
        )
    rows = AccessAttempt.objects.all()
    assert 0 < len(rows) <= GUESSES
    for row in rows:
        text = f"{row.get_data}{row.post_data}"
        assert len(text) < 5000
        assert "hunter" not in text


def submit(token: str, **environ: Any) -> HttpResponse:
    return Client().post(
        f"{ROOT}tokens/",
        b'{"name": "x"}',
        "application/json",
        HTTP_AUTHORIZATION=f"Bearer {token}",
        **environ,
    )


def test_a_token_that_was_refused_is_not_asked_about_again(asking: Issuer) -> None:
    answers = [submit("nobody-knows-it") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.json()["code"] for answer in answers} == {"token_invalid"}
    assert sum(asking.asked.values()) == 1


def test_an_address_that_guesses_tokens_is_not_listened_to(asking: Issuer, option: Any) -> None:
    option(TOKEN_REFUSALS=5)
    answers = [submit(f"guess-{number}", REMOTE_ADDR="192.0.2.1") for number in range(20)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 15
    assert answers[-1]["Retry-After"] == str(REFUSAL_TIME)
    assert sum(asking.asked.values()) == 5
    assert submit(asking.opaque(), REMOTE_ADDR="192.0.2.2").status_code == 201


def test_the_ipv6_addresses_of_one_customer_guess_tokens_together(asking: Issuer, option: Any) -> None:
    option(TOKEN_REFUSALS=5)
    answers = [submit(f"guess-{number}", REMOTE_ADDR=f"2001:db8::{number:x}") for number in range(20)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 15
    assert submit(asking.opaque(), REMOTE_ADDR="2001:db8:0:1::1").status_code == 201


def test_a_token_is_refused_also_if_the_count_of_refusals_expires_meanwhile(
    asking: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches["refusals"], "add", lambda *_: False)
    assert submit("guess", REMOTE_ADDR="192.0.2.1").status_code == 401


def test_a_token_that_is_known_to_be_good_stays_good_beside_guesses(asking: Issuer, option: Any) -> None:
    option(TOKEN_REFUSALS=5)
    token = asking.opaque()
    read = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    assert Client().get(f"{ROOT}tokens/", **read).status_code == 200
    for number in range(20):
        submit(f"guess-{number}")
    assert Client().get(f"{ROOT}tokens/", **read).status_code == 200


@pytest.mark.parametrize("way", ["asking", "verifying"])
def test_no_api_token_is_made_by_a_login_that_the_provider_has_revoked(
    way: str, request: pytest.FixtureRequest
) -> None:
    provider: Issuer = request.getfixturevalue(way)
    token = provider.opaque() if way == "asking" else provider.signed()
    read = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    assert submit(token).status_code == 201
    assert Client().get(f"{ROOT}tokens/", **read).status_code == 200
    provider.revoke(token)
    assert submit(token).status_code == 401
