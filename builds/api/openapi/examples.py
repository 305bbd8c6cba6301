"""Examples for the OpenAPI document. The code that makes all answers makes them, so they cannot go stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from builds import representations
from builds.api import errors
from builds.encoding import plain
from builds.models import ApiToken, ComponentBuild, LogMessage, ModuleBuild, Subscription
from builds.selectors.rest import COMPONENT_COLUMNS, ModuleRelations, Waiting
from mbs.errors import NotFound
from mbs.states import BuildState, ComponentState

_ADDRESS = "https://mbs.example.com/module-build-service/2/"
_START = datetime(2024, 1, 31, 12, tzinfo=UTC)

MODULEMD = """\
document: modulemd
version: 2
data:
  name: greetings
  stream: "1"
  summary: A module that greets people
  description: It greets people.
  license:
    module: [MIT]
  dependencies:
  - buildrequires: {platform: [f43]}
    requires: {platform: [f43]}
"""
SUBMISSION = {"scmurl": "https://git.example.com/modules/greetings.git?#f2d0c1b", "branch": "1"}
SUBMISSION_OF_A_FILE = {"modulemd": MODULEMD, "scratch": True}
CANCELLATION = {"state": "failed"}
TOKEN: dict[str, Any] = {"name": "nightly builds", "scopes": ["submit"], "days": 30}


def _later(seconds: int) -> datetime:
    return _START + timedelta(seconds=seconds)


_BUILD = ModuleBuild(
    id=12,
    name="greetings",
    stream="1",
    version="20240131120000",
    context="9edba152",
    state=BuildState.BUILD,
    owner="ann",
    scmurl=SUBMISSION["scmurl"],
    modulemd=MODULEMD,
    koji_tag="module-greetings-1-20240131120000-9edba152",
    batch=2,
    time_submitted=_START,
    time_modified=_later(90),
    arch_names=["x86_64", "aarch64"],
    buildrequires={
        "platform": {
            "ref": None,
            "stream": "f43",
            "version": "3",
            "context": "00000000",
            "koji_tag": "module-f43",
        }
    },
)
_COMPONENT = ComponentBuild(
    id=34,
    module_build_id=12,
    package="libgreet",
    batch=2,
    state=ComponentState.BUILDING,
    task_id=123456,
    task_url="https://koji.example.com/koji/taskinfo?taskID=123456",
    weight=240.0,
    time_started=_later(90),
)
_WAITING = Waiting("libgreet is being built", _later(90), "the end of its task")
_AROUND = ModuleRelations(
    components={12: [tuple(getattr(_COMPONENT, column) for column in COMPONENT_COLUMNS)]},
    siblings={},
    waiting={12: _WAITING},
    traces={12: [(_START, 0, None), (_later(20), 1, None), (_later(60), 2, None)]},
    base_modules={12: [(1, 5, "f43", "3", "platform", "00000000", 430000.0)]},
)

MODULE = plain(representations.module_answer(_BUILD, _AROUND))
MODULE_SHORT = representations.module_short(_BUILD)
MODULE_VERBOSE = plain(representations.module_verbose(_BUILD, _AROUND, f"{_ADDRESS}module-builds/12"))
COMPONENT = plain(representations.component_answer(_COMPONENT, _WAITING))
COMPONENT_VERBOSE = plain(
    representations.component_verbose(
        _COMPONENT, _WAITING, [(_later(90), 0, None)], f"{_ADDRESS}component-builds/34"
    )
)
MESSAGE = plain(
    representations.log_message(
        LogMessage(id=56, time_created=_later(5), message="The commit is on branch 1.")
    )
)
API_TOKEN = plain(
    representations.api_token(
        ApiToken(
            id=3,
            name=TOKEN["name"],
            owner="ann",
            start="mbs_Qx7t",
            scopes=["submit"],
            created_at=_START,
            expires_at=_START + timedelta(days=30),
        )
    )
)
NEW_TOKEN = {**API_TOKEN, "token": "mbs_Qx7t" + "…"}
SUBSCRIPTION = plain(
    representations.subscription(
        Subscription(
            id=5,
            address="https://example.com/hook",
            subscriber="ann",
            owner="ann",
            created_at=_START,
        )
    )
)
NEW_SUBSCRIPTION = {**SUBSCRIPTION, "secret": "whsec_" + "…"}
IMPORTED = {"module": MODULE, "messages": ["Module greetings:1:20240131120000:9edba152 imported."]}
ERROR = errors.body(NotFound("There is no module build 77.", code="no_such_module_build"), 404)


def page(resource: str, item: dict[str, Any], key: str = "items") -> dict[str, Any]:
    """Return a list with one item on one page."""
    only = f"{_ADDRESS}{resource}?page=1&per_page=10"
    meta = {"page": 1, "pages": 1, "per_page": 10, "total": 1, "first": only, "last": only}
    return {key: [item], "meta": {**meta, "prev": None, "next": None}}
