"""Webhooks of subscribers: signed, in order, after the commit, and repeated until they are accepted."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.db import transaction
from django.test import override_settings

from builds.messaging import outbox, subscriptions, webhooks
from builds.messaging.subscriptions import TOPIC, send_due
from builds.models import Delivery, ModuleBuild, OutboxMessage, Subscription, clock
from builds.services import cancellation
from mbs.errors import InvalidInput
from mbs.states import BuildState
from tests import factories
from tests.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True)


class Subscriber:
    """A web server that takes webhooks; ``statuses`` are what it answers first."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                subscriber.taken.append((dict(self.headers.items()), body))
                self.send_response(subscriber.statuses.pop(0) if subscriber.statuses else 204)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests print nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_address[1]}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def told(self) -> list[str]:
        """The states of which it was told."""
        return [json.loads(body)["data"]["state_name"] for _, body in self.taken]


@pytest.fixture
def subscriber(option: Callable[..., None]) -> Iterator[Subscriber]:
    option(WEBHOOK_PRIVATE_HOSTS=True)
    subscriber = Subscriber()
    yield subscriber
    subscriber.server.shutdown()
    subscriber.server.server_close()


@pytest.fixture
def build() -> ModuleBuild:
    return factories.module_build(name="quiet", stream="1", owner="ann", state=BuildState.BUILD)


def subscription(subscriber: Subscriber, **values: Any) -> Subscription:
    values = {"address": subscriber.url, "secret": webhooks.new_secret(), **values}
    return Subscription.objects.create(**values)


def tell(build: ModuleBuild, *states: BuildState) -> None:
    body = {"owner": build.owner, "name": build.name, "stream": build.stream, "id": build.pk}
    bodies = [{**body, "state": state, "state_name": state.word} for state in states]
    with transaction.atomic():
        outbox.add(build.pk, [(TOPIC, each) for each in bodies])


def test_a_subscriber_gets_the_same_body_as_the_bus(build: ModuleBuild, subscriber: Subscriber) -> None:
    row = subscription(subscriber)
    cancellation.cancel_once(build, "ann")
    assert send_due() == {"sent": 1, "failed": 0}
    ((headers, body),) = subscriber.taken
    message = OutboxMessage.objects.get(topic=TOPIC)
    assert json.loads(body)["type"] == TOPIC
    assert json.loads(body)["data"] == message.body
    assert headers["webhook-id"] == str(message.message_id)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(row.secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, signed, sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["Host"].startswith("localhost:")
    assert send_due() == {"sent": 0, "failed": 0}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, ["failed", "ready"]),
        ({"ended_only": False}, ["build", "failed", "ready"]),
        ({"owner": "ann", "name": "quiet", "stream": "1"}, ["failed", "ready"]),
        ({"owner": "bob"}, []),
        ({"name": "quiet", "stream": "2"}, []),
        ({"active": False}, []),
    ],
)
def test_a_subscription_selects_builds(
    build: ModuleBuild, subscriber: Subscriber, values: dict[str, Any], told: list[str]
) -> None:
    subscription(subscriber, **values)
    tell(build, BuildState.BUILD, BuildState.FAILED, BuildState.READY)
    send_due()
    assert subscriber.told == told


def test_an_uncommitted_change_is_not_delivered(build: ModuleBuild, subscriber: Subscriber) -> None:
    subscription(subscriber)
    with transaction.atomic():
        tell(build, BuildState.READY)
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


def test_refused_deliveries_are_sent_again_in_order_at_growing_intervals(
    build: ModuleBuild, subscriber: Subscriber
) -> None:
    subscription(subscriber)
    subscriber.statuses = [500, 302]
    tell(build, BuildState.FAILED, BuildState.READY)
    assert send_due() == {"sent": 0, "failed": 1}
    first = Delivery.objects.earliest("pk")
    assert (first.attempts, first.error) == (1, "localhost answered 500.")
    assert send_due() == {"sent": 0, "failed": 0}, "it is not due yet"
    pauses = [first.next_at - clock.now()]
    Delivery.objects.update(next_at=clock.now())
    assert send_due() == {"sent": 0, "failed": 1}, "redirects are not followed"
    first.refresh_from_db()
    pauses.append(first.next_at - clock.now())
    assert pauses[1] > pauses[0] + timedelta(seconds=20)
    Delivery.objects.update(next_at=clock.now())
    assert send_due() == {"sent": 2, "failed": 0}
    assert subscriber.told == ["failed", "failed", "failed", "ready"]
    assert len({headers["webhook-id"] for headers, _ in subscriber.taken}) == 2


def test_one_subscriber_that_is_away_does_not_hold_up_others(
    build: ModuleBuild, subscriber: Subscriber
) -> None:
    subscription(subscriber, address="http://127.0.0.1:9/")
    subscription(subscriber)
    tell(build, BuildState.READY)
    assert send_due() == {"sent": 1, "failed": 1}
    assert subscriber.told == ["ready"]


def test_a_subscriber_that_never_ends_its_answer_is_given_up(
    build: ModuleBuild, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_MAX_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=trickle, args=(server,), daemon=True).start()
        subscription(subscriber, address=f"http://127.0.0.1:{server.getsockname()[1]}/")
        tell(build, BuildState.READY)
        assert send_due() == {"sent": 0, "failed": 1}
    assert "did not answer within 0.3 seconds" in Delivery.objects.get(sent_at=None).error


def trickle(server: socket.socket) -> None:
    """Answer with one byte of a header after the other, 30 seconds long."""
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 204 No Content\r\nX: ")
        for _ in range(300):
            time.sleep(0.1)
            connection.sendall(b"x")


def test_a_subscription_deleted_during_a_delivery_does_not_delay_others(
    build: ModuleBuild, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, row = subscription(subscriber), subscription(subscriber)
    tell(build, BuildState.READY)
    due = subscriptions._due

    def deleted_after() -> Sequence[Delivery]:
        found = due()
        Subscription.objects.filter(pk=gone.pk).delete()
        return found

    monkeypatch.setattr(subscriptions, "_due", deleted_after)
    send_due()
    assert Delivery.objects.get(subscription=row).sent_at is not None


def test_a_subscription_that_takes_nothing_for_days_is_made_inactive_and_loses_nothing(
    build: ModuleBuild, subscriber: Subscriber
) -> None:
    row = subscription(subscriber)
    subscriber.statuses = [503]
    tell(build, BuildState.READY)
    Delivery.objects.update(created_at=clock.now() - subscriptions.GIVE_UP - timedelta(minutes=1))
    send_due()
    row.refresh_from_db()
    assert not row.active
    assert row.error.endswith("the last error: HTTP 503")
    Delivery.objects.update(next_at=clock.now())
    assert send_due() == {"sent": 0, "failed": 0}
    Subscription.objects.update(active=True)
    assert send_due() == {"sent": 1, "failed": 0}


@pytest.mark.parametrize(
    ("address", "private", "kind"),
    [
        ("http://127.0.0.1:{closed}/", True, "connection refused"),
        ("https://127.0.0.1:{port}/", True, "TLS error"),
        ("https://127.0.0.1/", False, "no public host"),
        ("https://localhost/", False, "no public host"),
        ("https://database.internal.invalid/", False, "no public host"),
    ],
)
def test_a_user_learns_the_kind_of_an_error_and_operators_the_details(
    build: ModuleBuild,
    subscriber: Subscriber,
    option: Callable[..., None],
    address: str,
    private: bool,
    kind: str,
) -> None:
    option(WEBHOOK_PRIVATE_HOSTS=private)
    port = subscriber.server.server_address[1]
    row = subscription(subscriber, address=address.format(closed=free_port(), port=port))
    tell(build, BuildState.READY)
    Delivery.objects.update(created_at=clock.now() - subscriptions.GIVE_UP - timedelta(minutes=1))
    send_due()
    row.refresh_from_db()
    assert row.error == f"No delivery was accepted for 3 days; the last error: {kind}"
    assert str(urlsplit(address).hostname) in Delivery.objects.get().error


def test_the_mail_server_is_not_shown_to_users(build: ModuleBuild, option: Callable[..., None]) -> None:
    option(MAIL_SERVER="mail.internal.invalid")
    row = Subscription.objects.create(kind=Subscription.Kind.MAIL, address="ann@example.com")
    tell(build, BuildState.READY)
    Delivery.objects.update(created_at=clock.now() - subscriptions.GIVE_UP - timedelta(minutes=1))
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=free_port(),
    ):
        send_due()
    row.refresh_from_db()
    assert row.error.endswith("the last error: mail not accepted")
    assert "refused" in Delivery.objects.get().error


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["93.184.216.34", "192.168.0.1"],
        ["fe80::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
    ],
)
def test_hosts_that_are_not_public_are_refused(monkeypatch: pytest.MonkeyPatch, found: list[str]) -> None:
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in found]
    monkeypatch.setattr(webhooks.socket, "getaddrinfo", lambda *_, **__: infos)
    with pytest.raises(webhooks.NotDelivered) as refusal:
        webhooks.post("https://hooks.example.com/x", webhooks.new_secret(), "1", 1, b"{}", private=False)
    assert refusal.value.code == "address_not_public"


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "file:///etc/passwd",
        "https://",
        "https://host:99999/",
        "https://[::1/",
        "https://xn--/",
        "no address",
        "",
    ],
)
def test_addresses_of_other_forms_are_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        webhooks.check_address(address, private=False)


def test_mail_contains_the_state_and_the_address_of_the_build(
    build: ModuleBuild, option: Callable[..., None]
) -> None:
    option(MAIL_SERVER="mail.example.com")
    Subscription.objects.create(kind="mail", address="ann@example.com", owner="ann")
    build.name = "quiet\nBcc: all@example.com"
    with transaction.atomic():
        body = {"owner": "ann", "name": build.name, "stream": "1", "id": build.pk, "state": BuildState.FAILED}
        body |= {"state_name": "failed", "state_reason": "libfoo failed"}
        outbox.add(build.pk, [(TOPIC, body)])
    assert send_due() == {"sent": 1, "failed": 0}
    (message,) = mail.outbox
    assert message.to == ["ann@example.com"]
    assert message.subject.startswith("[MBS] quiet\\nBcc: all@example.com:1")
    assert "libfoo failed" in message.body
    assert f"http://testserver/builds/{build.pk}" in message.body


def test_without_a_mail_server_mail_waits(build: ModuleBuild) -> None:
    Subscription.objects.create(kind="mail", address="ann@example.com")
    tell(build, BuildState.READY)
    assert send_due() == {"sent": 0, "failed": 1}
    assert "MAIL_SERVER" in Delivery.objects.get().error
