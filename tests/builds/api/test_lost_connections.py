"""Requests after PostgreSQL has closed the connections of a web server, for example by a restart."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import RequestFactory

from builds.models import ModuleBuild
from mbs.states import BuildState
from tests.factories import module_build

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file has no connections"),
]


def lose_the_connection() -> None:
    """Let the server close the connection of this thread, and wait until it has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [process] = cursor.fetchone()
    values = connection.get_connection_params()
    known = {key: values.get(key) for key in ("dbname", "user", "password", "host", "port")}
    with closing(psycopg2.connect(**known)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 60000)", (process,))
        assert cursor.fetchone() == (True,)


def send(method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Send a request like a web server does; return the status and the JSON of the answer."""
    statuses = []
    request = RequestFactory().generic(method, f"/module-build-service/2/{path}", body)
    answer = WSGIHandler()(request.environ, lambda status, headers: statuses.append(int(status[:3])))
    text = b"".join(answer)
    answer.close()
    return statuses[0], json.loads(text)


def test_the_next_request_is_answered_whether_it_reads_or_changes_something() -> None:
    build = module_build(state=BuildState.READY)
    assert send("GET", f"module-builds/{build.pk}")[0] == 200
    lose_the_connection()
    status, found = send("GET", "module-builds/?short=1")
    assert (status, [each["id"] for each in found["items"]]) == (200, [build.pk])
    lose_the_connection()
    assert send("POST", f"module-builds/{build.pk}/retire", b"{}")[0] == 200
    assert ModuleBuild.objects.get(pk=build.pk).state == BuildState.GARBAGE
