"""Contexts and versions, with hashes computed by MBS 3.9.2's own functions."""

from __future__ import annotations

import pytest

from mbs.contexts import (
    build_context,
    build_context_no_bms,
    context,
    contexts,
    prefixed_version,
    runtime_context,
    stream_version,
)

BUILDREQUIRES = {
    "platform": {"stream": "f28", "version": "3", "ref": "virtual"},
    "perl": {"stream": "5.26"},
    "bootstrap": {"stream": "x"},
}
REQUIRES = [{"platform": ["f28"], "a": ["2", "1"]}, {"a": ["3"], "b": []}]


def test_contexts_are_those_of_the_reference() -> None:
    found = contexts(BUILDREQUIRES, REQUIRES)
    assert found.build_context == "1a5356d17484c86ae5f8eb4d78737bcd7d9ea183"
    assert found.build_context_no_bms == "ec026e4c63c4d32c8992ebef266d7711affadd2d"
    assert found.runtime_context == "85c4e576aede901e6b3c0ab4c6af7fe039d5ebc6"
    assert found.context == "acef78ad"


def test_the_most_common_module_has_the_best_known_context() -> None:
    build, runtime = build_context({"platform": {"stream": "f28"}}), runtime_context([{"platform": ["f28"]}])
    assert context(build, runtime) == "9c690d0e"


def test_nothing_required_and_letters_beyond_ascii() -> None:
    assert build_context({}) == runtime_context([]) == "bf21a9e8fbc5a3846fb05b4fa0859e0917b2202f"
    assert build_context({"plätform": {"stream": "fü"}}) == "a12e0f89a966dc475dc6bde645c2dcf2590344ab"


def test_order_does_not_matter() -> None:
    assert build_context(dict(reversed(BUILDREQUIRES.items()))) == build_context(BUILDREQUIRES)
    assert runtime_context(reversed(REQUIRES)) == runtime_context(REQUIRES)


def test_base_modules_are_the_configured_ones() -> None:
    without = {name: info for name, info in BUILDREQUIRES.items() if name != "bootstrap"}
    assert build_context_no_bms(BUILDREQUIRES, {"bootstrap"}) == build_context(without)


@pytest.mark.parametrize(
    ("stream", "padded", "plain"),
    [
        ("f27", 270000, 27),
        ("f27.0.1", 270001, 270001),
        ("el8", 80000, 8),
        ("el8.1.0", 80100, 80100),
        ("el8.2.0.z", 80200, 80200),
        ("el10.0", 100000, 1000),
        ("f28-beta", 280000, 28),
        ("8.", 80000, 8),
        ("a1b2", 10000, 1),
        ("rawhide", 0, 0),
        ("", 0, 0),
        ("²", 0, 0),
        ("9" * 400, 0, 0),
    ],
)
def test_stream_version(stream: str, padded: float, plain: float) -> None:
    assert stream_version(stream) == padded
    assert stream_version(stream, right_pad=False) == plain


def test_the_first_suffix_that_matches_is_added() -> None:
    suffixes = {r"^el\d+\.\d+\.\d+\.z$": 0.1, r"^el": 0.5}
    assert stream_version("el8.2.0.z", suffixes=suffixes) == 80200.1
    assert stream_version("el8.2.0", suffixes=suffixes) == 80200.5
    assert stream_version("f28", suffixes=suffixes) == 280000


@pytest.mark.parametrize(
    ("base_stream", "expected"),
    [
        ("f28", 2820180205135154),
        ("el8.1.0", 8010020180205135154),
        ("rawhide", 20180205135154),
        (None, 20180205135154),
        # 270001 and 14 digits are more than 64 bits.
        ("f27.0.1", 20180205135154),
    ],
)
def test_version_is_prefixed_while_it_fits_64_bits(base_stream: str | None, expected: int) -> None:
    assert prefixed_version(20180205135154, base_stream) == expected


def test_the_bound_of_a_version_is_exact() -> None:
    assert prefixed_version(8446744073709551615, "1") == 18446744073709551615
    assert prefixed_version(8446744073709551616, "1") == 8446744073709551616
