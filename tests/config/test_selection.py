"""Selecting the configuration file and its section."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from config.selection import Selection, select

CELERY = ["/usr/bin/celery", "worker"]
PYTEST = ["/usr/bin/pytest", "tests"]
DEVELOPER = {"MODULE_BUILD_SERVICE_DEVELOPER_ENV": "1"}


@pytest.fixture
def default(tmp_path):
    path = tmp_path / "config.py"
    path.write_text("")
    return str(path)


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        (CELERY, {}, Selection("dev", None)),
        ([], {}, Selection("dev", None)),
        (["mod_wsgi"], {}, Selection("prod", None)),
        (CELERY, {"MBS_CONFIG_FILE": "/my.py"}, Selection("prod", "/my.py")),
        (CELERY, {"MBS_CONFIG_FILE": ""}, Selection("dev", None)),
        (["mod_wsgi"], {"MBS_CONFIG_FILE": ""}, Selection("prod", None)),
        (CELERY, {"MBS_CONFIG_SECTION": "standalone"}, Selection("standalone", None)),
        (CELERY, {"MBS_CONFIG_SECTION": "local"}, Selection("standalone", None)),
        (CELERY, {"MBS_CONFIG_SECTION": "LocalBuildConfiguration"}, Selection("standalone", None)),
        (CELERY, {"MBS_CONFIG_SECTION": "ProdConfiguration"}, Selection("prod", None)),
        (CELERY, {"MBS_CONFIG_SECTION": ""}, Selection("dev", None)),
        (
            CELERY,
            {"MBS_CONFIG_FILE": "/my.py", "MBS_CONFIG_SECTION": "Staging"},
            Selection("Staging", "/my.py"),
        ),
        (CELERY, DEVELOPER, Selection("dev", None)),
        (CELERY, {"MODULE_BUILD_SERVICE_DEVELOPER_ENV": "YES"}, Selection("dev", None)),
        (CELERY, DEVELOPER | {"MBS_CONFIG_FILE": "/my.py"}, Selection("dev", None)),
        (CELERY, DEVELOPER | {"MBS_CONFIG_SECTION": "prod"}, Selection("prod", None)),
        (
            CELERY,
            {"MODULE_BUILD_SERVICE_DEVELOPER_ENV": "0", "MBS_CONFIG_FILE": "/my.py"},
            Selection("prod", "/my.py"),
        ),
        (PYTEST, {}, Selection("test", None)),
        (["/usr/lib/python3/site-packages/pytest/__main__.py"], {}, Selection("test", None)),
        (["/usr/bin/py.test-3"], {}, Selection("test", None)),
        (["manage.py", "test"], {}, Selection("test", None)),
        (["-c"], {"PYTEST_XDIST_WORKER": "gw0"}, Selection("test", None)),
        (CELERY, {"PYTEST_XDIST_WORKER": "gw0", "PYTEST_VERSION": "9"}, Selection("dev", None)),
        (["manage.py", "config"], {}, Selection("dev", None)),
        (["/home/me/pytest/manage.py", "migrate"], {}, Selection("dev", None)),
        (["manage.py", "expand", "--file", "pytest.yaml"], {}, Selection("dev", None)),
        (PYTEST, DEVELOPER | {"MBS_CONFIG_FILE": "/my.py"}, Selection("test", None)),
        (PYTEST, {"MBS_CONFIG_SECTION": "dev"}, Selection("dev", None)),
    ],
)
def test_without_a_file_at_the_default_path(argv, environ, expected):
    assert select(environ, argv, "/nowhere/config.py") == expected


@pytest.mark.parametrize(
    ("argv", "environ", "section", "uses_it"),
    [
        (CELERY, {}, "prod", True),
        (["mod_wsgi"], {}, "prod", True),
        (CELERY, {"MBS_CONFIG_SECTION": "dev"}, "dev", True),
        (CELERY, {"MBS_CONFIG_FILE": ""}, "dev", False),
        (CELERY, DEVELOPER, "dev", False),
        (PYTEST, {}, "test", False),
    ],
)
def test_with_a_file_at_the_default_path(default, argv, environ, section, uses_it):
    assert select(environ, argv, default) == Selection(section, default if uses_it else None)


def test_a_named_file_wins_over_the_default_one(default):
    assert select({"MBS_CONFIG_FILE": "/my.py"}, CELERY, default).path == "/my.py"


def test_the_embedded_module_is_recognized_as_mod_wsgi(monkeypatch):
    """The package of the same name from the index can be imported anywhere; it knows no process group."""
    monkeypatch.setitem(sys.modules, "mod_wsgi", SimpleNamespace(version=(4, 9)))
    assert select({}, ["x"], "/nowhere").section == "dev"
    monkeypatch.setitem(sys.modules, "mod_wsgi", SimpleNamespace(version=(4, 9), process_group="mbs"))
    assert select({}, ["x"], "/nowhere").section == "prod"
