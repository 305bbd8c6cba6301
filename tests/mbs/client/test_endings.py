"""The description of the end of a build."""

from __future__ import annotations

import pytest

from mbs.client.endings import ending
from mbs.client.snapshot import read_build
from tests.mbs.client.fake_server import module_build


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("https://mbs.example.org", "/builds/1/lib/log"),
        ("https://mbs.example.org/mbs", "/mbs/builds/1/lib/log"),
        # Earlier servers do not name the prefix.
        ("https://mbs.example.org/mbs", "/builds/1/lib/log"),
    ],
)
def test_the_address_of_the_log_has_the_path_prefix_of_the_server_once(server: str, path: str) -> None:
    excerpt = {
        "component": "lib",
        "log": "build.log",
        "line": 3,
        "first_line": 3,
        "lines": ["x"],
        "url": path,
    }
    error = {"code": "component_failed", "cause": "module", "excerpt": excerpt | {"url": path}}
    lines = list(ending(read_build(module_build(1, "failed", error=error)), server))
    assert f"In the log: {server}/builds/1/lib/log" in lines
