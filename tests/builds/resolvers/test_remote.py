"""Modules of another service by its REST API; the other service is this one's test database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings

from builds import resolvers
from builds.models import ModuleBuild
from builds.resolvers import LayeredUniverse, RemoteUniverse
from builds.selectors.universe import DatabaseUniverse
from mbs.client.rest import Client
from mbs.errors import MBSError, NotSupported, Unavailable
from mbs.expansion import MemoryUniverse, expand
from mbs.modulemd import Dependencies, StreamV2, dump
from mbs.states import BuildState
from tests.factories import base_module, module_build


def stored(
    name: str, stream: str, version: int, base: ModuleBuild, context: str = "c0", **values: Any
) -> ModuleBuild:
    notes = {"buildrequires": {base.name: {"stream": base.stream}}, "commit": "abc", "mse": "true"}
    document = StreamV2(
        name=name,
        stream=stream,
        version=version,
        context=context,
        summary="A module",
        description="A module",
        module_licenses=["MIT"],
        dependencies=[Dependencies({base.name: [base.stream]}, values.pop("needs", {}))],
        xmd={"mbs": notes},
    )
    values = {"state": BuildState.READY, "requires": base, **values}
    build = module_build(
        name=name,
        stream=stream,
        version=str(version),
        context=context,
        modulemd=dump(document),
        commit="abc",
        koji_tag=f"module-{name}-{stream}-{version}-{context}",
        buildrequires=notes["buildrequires"],
        **values,
    )
    ModuleBuild.objects.filter(pk=build.pk).update(requires=[document.dependencies[0].requires])
    return build


@pytest.fixture
def base(db: None) -> ModuleBuild:
    document = StreamV2(
        name="platform",
        stream="el8.1.0",
        version=3,
        context="00000000",
        summary="A base",
        description="A base",
        module_licenses=["MIT"],
        xmd={"mbs": {"virtual_streams": ["el8"], "mse": "true"}},
    )
    return base_module("el8.1.0", virtual_streams=("el8",), modulemd=dump(document), koji_tag="base-build")


@pytest.fixture
def remote(live_server: Any) -> Iterator[RemoteUniverse]:
    with Client(live_server.url) as client:
        yield RemoteUniverse(client)


def described(builds: Any) -> list[tuple[Any, ...]]:
    return sorted(
        (
            str(each.nsvc),
            dict(each.built_against),
            each.koji_tag,
            each.ref,
            each.virtual_streams,
            each.retired,
        )
        for each in builds
    )


def test_it_answers_as_the_database_behind_it(transactional_db: None, base: ModuleBuild, remote: Any) -> None:
    older = base_module("el8.0.0", modulemd=base.modulemd.replace("el8.1.0", "el8.0.0"))
    for number in range(12):
        stored("perl", "5.30", number + 1, base)
    stored("perl", "5.30", 12, base, "c1")
    stored("perl", "5.30", 5, older, "c2")
    stored("perl", "5.32", 1, base)
    stored("perl", "6", 1, base, state=BuildState.FAILED)
    here = DatabaseUniverse()
    assert remote.streams(["perl", "none"]) == here.streams(["perl", "none"])
    wanted = [("perl", "5.30"), ("perl", "5.32"), ("perl", "6"), ("none", "1")]
    bases = [("platform", "el8.1.0"), ("platform", "el8.0.0")]
    found = remote.candidates(wanted, bases)
    assert described(found) == described(here.candidates(wanted, bases))
    assert [str(each.nsvc) for each in found if each.version == 12] == ["perl:5.30:12:c0", "perl:5.30:12:c1"]


def test_base_modules_come_with_virtual_streams_and_retired_ones(
    transactional_db: None, base: ModuleBuild, remote: Any
) -> None:
    for version, state in (("9", BuildState.GARBAGE), ("1", BuildState.GARBAGE)):
        base_module("el7", version=version, modulemd=base.modulemd.replace("el8.1.0", "el7"))
        ModuleBuild.objects.filter(stream="el7", version=version).update(state=state)
    found = {each.stream: each for each in remote.base_modules(["platform"])}
    assert found["el8.1.0"].virtual_streams == ("el8",)
    assert (found["el8.1.0"].retired, found["el7"].retired) == (False, True)


def test_a_document_is_expanded_against_another_service(
    transactional_db: None, base: ModuleBuild, remote: Any
) -> None:
    stored("lib", "2", 1, base)
    stored("perl", "5.30", 1, base, needs={"lib": ["2"]})
    document = StreamV2(
        name="app", stream="1", version=1, dependencies=[Dependencies({"platform": ["el8"], "perl": []}, {})]
    )
    (build,) = expand(document, LayeredUniverse(MemoryUniverse([]), remote)).builds
    assert sorted(build.buildrequires) == ["lib", "perl", "platform"]


def _answering(answer: httpx.Response | Exception) -> RemoteUniverse:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return RemoteUniverse(Client("http://127.0.0.1:1", transport=httpx.MockTransport(handle)))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.Response(500, json={"message": "broken"}),
        httpx.Response(200, text="no json"),
        httpx.Response(200, json={"items": [{"id": 1}], "meta": {}}),
        httpx.Response(200, json=[]),
    ],
)
def test_a_service_that_does_not_answer_is_away(answer: httpx.Response | Exception) -> None:
    for ask in (
        lambda universe: universe.base_modules(["platform"]),
        lambda universe: universe.candidates([("a", "1")], [("platform", "f1")]),
    ):
        with pytest.raises(Unavailable) as caught:
            ask(_answering(answer))
        assert isinstance(caught.value, MBSError)


@pytest.mark.parametrize(
    ("name", "kind"), [("db", DatabaseUniverse), ("mbs", LayeredUniverse), ("local", LayeredUniverse)]
)
def test_the_configuration_chooses(name: str, kind: type) -> None:
    assert isinstance(resolvers.universe(settings.MBS.model_copy(update={"RESOLVER": name})), kind)


def test_an_unsupported_resolver_is_refused() -> None:
    with pytest.raises(NotSupported):
        resolvers.universe(settings.MBS.model_copy(update={"RESOLVER": "koji"}))
