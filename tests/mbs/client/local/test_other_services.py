"""``mbs local`` against modules of another Module Build Service, for real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mbs.client.demo.service import service
from mbs.client.local.run import OWN
from mbs.client.rest import Client
from mbs.client.up.platform import host_platform
from mbs.client.watching import watch
from tests.gitrepos import git
from tests.mbs.client.local.workshop import Workshop


@contextmanager
def built_elsewhere(checkout: Path, data: Path) -> Iterator[str]:
    """Build a module in a service of its own, and yield the URL of the service while it runs."""
    data.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        settings = {**OWN, "MBS_DATA_DIR": str(data), "MBS_LOCAL_RESULTS": "web", "MBS_SCM_NETWORK": "false"}
        for name, value in settings.items():
            patch.setenv(name, value)
        running = service(data, keep=False, modules=[host_platform().write(data)])
        mine = running.__enter__()
    try:
        url = mine.ready().base_url
        with Client(url, owner="ann") as client:
            commit = git(checkout, "rev-parse", "HEAD")
            builds = client.submit({"scmurl": f"{checkout.as_uri()}?#{commit}", "branch": "1"})
            *_, last = watch(client, [build["id"] for build in builds], interval=0.2)
            assert last.succeeded
        yield url
    finally:
        mine.stop()


def test_packages_of_a_module_of_another_service_are_in_the_buildroot_and_kept_for_the_next_run(
    workshop: Workshop,
) -> None:
    workshop.package("one")
    workshop.package("user", build="one-of-module", tags="BuildRequires: one")
    base = workshop.module("base", ["one"])
    checkout = workshop.module("consumer", ["user"], more=", base: ['1']")
    with built_elsewhere(base, workshop.folder / "other") as url:
        said = workshop.run(checkout, "--server", url)
        assert f"from {url}: 1 RPM, " in said
        again = workshop.run(checkout, "--server", url, "--data", str(workshop.folder / "elsewhere"))
        assert "Downloading" not in again
        assert "is in the repository" in again
