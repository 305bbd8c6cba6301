"""Expansion compared with an exhaustive search, on small universes."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from mbs.errors import Unprocessable
from mbs.expansion import Available
from tests.mbs.expansion.universes import base, document, module, run

PLATFORMS = ("f29", "f30")
NAMES = ("a", "b", "c")
STREAMS = ("1", "2")


def requires(names):
    streams = st.lists(st.sampled_from(STREAMS), max_size=2, unique=True)
    return st.dictionaries(st.sampled_from(names), streams, max_size=2)


@st.composite
def builds(draw):
    """At most two contexts of each stream on each platform; requires may form cycles."""
    found = []
    for name, stream, platform in itertools.product(NAMES, STREAMS, PLATFORMS):
        for context in range(draw(st.integers(0, 2))):
            others = [other for other in NAMES if other != name]
            needs = draw(requires(others))
            if draw(st.integers(0, 4)) == 0:
                needs["platform"] = []
            found.append(module(f"{name}:{stream}:1:{platform}{context}", needs, on=platform))
    return found


wanted_streams = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(STREAMS), min_size=1, unique=True), min_size=1
)


def satisfied(chosen: dict[str, Available], needs) -> bool:
    return all(
        name in chosen and (not streams or chosen[name].stream in streams) for name, streams in needs.items()
    )


def consistent(chosen: dict[str, Available]) -> bool:
    return all(satisfied(chosen, each.requires[0]) for each in chosen.values() if each.name != "platform")


def everything(known, platforms, streams):
    """All consistent sets of builds that hold one of each wanted stream: platform and streams -> sets."""
    by_name = {name: [None, *(each for each in known if each.name == name)] for name in NAMES}
    found: dict[frozenset, list[dict[str, Available]]] = {}
    for platform in platforms:
        for choice in itertools.product(*by_name.values()):
            chosen = {each.name: each for each in choice if each} | {"platform": base(platform)}
            direct = {name: chosen[name].stream for name in streams if name in chosen}
            if len(direct) < len(streams) or any(direct[name] not in streams[name] for name in streams):
                continue
            if consistent(chosen):
                found.setdefault(frozenset({("platform", platform), *direct.items()}), []).append(chosen)
    return found


@settings(max_examples=150, deadline=None)
@given(builds(), wanted_streams, st.lists(st.sampled_from(PLATFORMS), min_size=1, unique=True))
def test_finds_exactly_the_combinations_that_can_be_installed(known, streams, platforms):
    # Only what was made against a wanted platform is a candidate.
    candidates = [each for each in known if each.built_against["platform"] in platforms]
    expected = everything(candidates, platforms, streams)
    wanted = document({"platform": platforms, **streams})
    try:
        found = run(wanted, *map(base, PLATFORMS), *known).builds
    except Unprocessable:
        assert not expected
        return
    chosen = {
        frozenset(
            (name, stream) for name, [stream] in build.document.dependencies[0].buildrequires.items()
        ): build.buildrequires
        for build in found
    }
    assert chosen.keys() == expected.keys()
    assert len(found) == len(chosen)
    for streams_chosen, modules in chosen.items():
        assert consistent(dict(modules))
        needed = {each.nsvc for each in modules.values()}
        assert any(needed <= {each.nsvc for each in one.values()} for one in expected[streams_chosen])


@settings(max_examples=60, deadline=None)
@given(builds(), wanted_streams)
def test_rejected_streams_really_exclude_each_other_and_none_of_them_is_needless(known, streams):
    wanted = {"platform": ["f30"], **streams}
    try:
        rejected = run(document(wanted), *map(base, PLATFORMS), *known).rejected
    except Unprocessable:
        return
    candidates = [each for each in known if each.built_against["platform"] == "f30"]
    for each in rejected:
        named = {name: [stream] for name, stream in each.streams.items() if name != "platform"}
        assert not everything(candidates, ["f30"], named)
        for name in named:
            rest = {other: choice for other, choice in named.items() if other != name}
            assert everything(candidates, ["f30"], rest)


@settings(max_examples=30, deadline=None)
@given(builds(), wanted_streams, st.randoms(use_true_random=False))
def test_the_order_of_names_in_the_document_does_not_matter(known, streams, random):
    shuffled = list(streams.items())
    random.shuffle(shuffled)

    def answer(choice):
        try:
            found = run(document(choice), *map(base, PLATFORMS), *known)
        except Unprocessable as error:
            return error.code
        return [
            (build.context, list(map(str, (each.nsvc for each in build.buildrequires.values()))))
            for build in found.builds
        ]

    assert answer({"platform": ["f30"], **streams}) == answer({**dict(shuffled), "platform": ["f30"]})
