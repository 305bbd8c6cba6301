"""Examples of answers. The code that makes all answers makes them, so they cannot go stale."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from builds import representations, shapes
from builds.api.errors import body
from builds.api.pagination import meta_of
from builds.api.serializers import MODULEMD, SCMURL
from builds.models import ApiToken, ComponentBuild, LogMessage, ModuleBuild, Subscription
from builds.selectors.rest import COMPONENT_COLUMNS, ModuleRelations, Waiting
from builds.shapes import comparison, lists
from mbs import __version__
from mbs.errors import NotFound
from mbs.nsvc import NSVC
from mbs.states import BuildState, ComponentState

_API = "https://mbs.example.com/module-build-service/2/"
_START = datetime(2024, 1, 31, 12, tzinfo=UTC)
_NOW = _START + timedelta(seconds=90)
_NSVC = NSVC("greetings", "1", "20240131120000", "9edba152")
_BUILD = ModuleBuild(
    id=12,
    **vars(_NSVC),
    state=BuildState.BUILD,
    owner="ann",
    scmurl=SCMURL,
    modulemd=MODULEMD,
    koji_tag="module-greetings-1-20240131120000-9edba152",
    batch=2,
    time_submitted=_START,
    time_modified=_NOW,
    arch_names=["x86_64", "aarch64"],
    buildrequires={"platform": {"stream": "f43", "version": "3", "context": "00000000", "ref": None}},
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
    time_started=_NOW,
)
_WAITING = Waiting("libgreet is being built", _NOW, "the end of its task")
_AROUND = ModuleRelations(
    components={12: [tuple(getattr(_COMPONENT, column) for column in COMPONENT_COLUMNS)]},
    waiting={12: _WAITING},
    traces={12: [(_START + timedelta(seconds=30 * state), state, None) for state in range(3)]},
    base_modules={12: [(1, BuildState.READY, "f43", "3", "platform", "00000000", 430000.0)]},
)
_MODULE = representations.module_answer(_BUILD, _AROUND)
_MODULES = {
    "default": _MODULE,
    "verbose": representations.module_verbose(_BUILD, _AROUND, f"{_API}module-builds/12"),
    "short": representations.module_short(_BUILD),
}
_COMPONENTS = {
    "default": representations.component_answer(_COMPONENT, _WAITING),
    "verbose": representations.component_verbose(
        _COMPONENT, _WAITING, [(_NOW, 0, None)], f"{_API}component-builds/34"
    ),
}
_NOT_FOUND = NotFound("There is no module build 77.", code="no_such_module_build")
_MESSAGE = representations.log_message(
    LogMessage(id=56, time_created=_NOW, message="The commit is on branch 1.")
)
_DAYS = {"created_at": _START, "expires_at": _START + timedelta(days=30)}
_TOKEN = representations.api_token(
    ApiToken(id=3, name="nightly builds", owner="ann", start="mbs_Qx7t", scopes=["submit"], **_DAYS)
)
_SUBSCRIPTION = representations.subscription(
    Subscription(id=5, address="https://example.com/hook", subscriber="ann", owner="ann", created_at=_START)
)


def _pages(path: str, items: Mapping[str, Any], key: str = "items") -> dict[str, Any]:
    """Return a list with one item on one page, for each item."""
    meta = meta_of(f"{_API}{path}?", page=1, per_page=10, total=1)
    return {name: {key: [item], "meta": meta} for name, item in items.items()}


#: Type of an answer -> name -> an example.
EXAMPLES: Mapping[Any, Mapping[str, Any]] = {
    lists.AnyModuleBuild: _MODULES,
    lists.ModuleBuildPage: _pages("module-builds/", _MODULES),
    shapes.ModuleBuildVerbose: {"build": _MODULES["verbose"]},
    list[shapes.ModuleBuildVerbose]: {"builds": [_MODULES["verbose"]]},
    lists.AnyComponentBuild: _COMPONENTS,
    lists.ComponentBuildPage: _pages("component-builds/", _COMPONENTS),
    lists.LogMessagePage: _pages("module-builds/12/messages", {"messages": _MESSAGE}, "messages"),
    shapes.Token: {"token": _TOKEN},
    shapes.NewToken: {"token": {**_TOKEN, "token": "mbs_Qx7t" + "…"}},
    lists.TokenPage: _pages("tokens/", {"tokens": _TOKEN}),
    shapes.Subscription: {"subscription": _SUBSCRIPTION},
    shapes.NewSubscription: {"subscription": {**_SUBSCRIPTION, "secret": "whsec_" + "…"}},
    lists.SubscriptionPage: _pages("subscriptions/", {"subscriptions": _SUBSCRIPTION}),
    shapes.Imported: {"imported": {"module": _MODULE, "messages": [f"Module {_NSVC} imported."]}},
    shapes.About: {"about": {"version": __version__, "api_version": 2, "auth_method": "oidc"}},
    comparison.Me: {"login": {"username": "ann", "groups": ["packager"], "scopes": None}},
    dict[str, str]: {"by architecture": {"x86_64": MODULEMD}},
    shapes.Error: {"error": body(_NOT_FOUND, 404)},
}
