"""Probes are answered under the IP address of a process; all other pages require a known host name."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
METRICS = "/module-build-service/2/monitor/metrics"


@pytest.mark.parametrize("host", ["10.1.2.3:8000", "10.1.2.3", "[fd00::1]", "[fd00::1]:8000"])
@pytest.mark.parametrize("path", ["/health/live", METRICS, METRICS + "/"])
def test_probes_are_answered_under_an_ip_address(client: Client, path: str, host: str) -> None:
    assert client.get(path, headers={"Host": host}).status_code == 200


def test_readiness_is_answered_by_address(client: Client) -> None:
    by_name = client.get("/health/ready")
    assert client.get("/health/ready", headers={"Host": "10.1.2.3"}).status_code == by_name.status_code


@pytest.mark.parametrize("path", ["/", "/module-build-service/2/about/", "/health/live/x", "/admin/"])
def test_other_addresses_are_refused_under_a_foreign_host(client: Client, path: str) -> None:
    client.raise_request_exception = False
    assert client.get(path, headers={"Host": "10.1.2.3"}).status_code == 400


@pytest.mark.parametrize("host", ["evil.example.com", "10.1.2.3.evil.example.com", "[10.1", "10.1.2.3/x"])
def test_probes_are_refused_under_a_foreign_name(client: Client, host: str) -> None:
    client.raise_request_exception = False
    assert client.get(METRICS, headers={"Host": host}).status_code == 400
