"""Names, streams, versions and contexts."""

from __future__ import annotations

import pytest

from mbs.errors import InvalidInput
from mbs.nsvc import NSVC

NODEJS = NSVC("nodejs", "10", "20180205135154", "c2c572ec")


def test_is_written_and_read_with_colons() -> None:
    assert str(NODEJS) == "nodejs:10:20180205135154:c2c572ec"
    assert NSVC.parse("nodejs:10:20180205135154:c2c572ec") == NODEJS


@pytest.mark.parametrize(
    "text",
    ["", "a:b:1", "a:b:1:c:d", "a::1:c", "a:b:x:c", "a:b:-1:c", "a:b:²:c", "a:b:18446744073709551616:c"],
)
def test_text_that_is_no_nsvc_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        NSVC.parse(text)
    assert caught.value.code == "invalid_nsvc"


def test_koji_nvr_has_no_dash_in_its_version() -> None:
    nsvc = NSVC("my-module", "rhel-8.0-beta", "7", "00000000")
    assert nsvc.nvr == {"name": "my-module", "version": "rhel_8.0_beta", "release": "7.00000000"}
    assert nsvc.nvr_string == "my-module-rhel_8.0_beta-7.00000000"


# The expected names below were computed by the reference service's own functions.


def test_short_names_make_readable_tags_and_targets() -> None:
    assert NODEJS.koji_tag() == "module-nodejs-10-20180205135154-c2c572ec"
    assert NODEJS.koji_tag(7) == "scrmod-nodejs-10-20180205135154-c2c572ec+7"
    assert NODEJS.koji_target() == "module-nodejs-10-20180205135154-c2c572ec"
    assert NODEJS.koji_target(7) == "scrmod-nodejs-10-20180205135154-c2c572ec+7"


def test_long_names_make_hashed_tags() -> None:
    nsvc = NSVC("n" * 240, "10", "1", "c2c572ec")
    assert nsvc.koji_tag() == "module-e8c19edc2f8d64c4"
    assert nsvc.koji_tag(7) == "scrmod-e8c19edc2f8d64c4+7"


def test_a_tag_leaves_room_for_its_buildroot_and_a_target_has_50_characters() -> None:
    rest = len("module--1-1-c2c572ec")
    assert NSVC("n" * (250 - rest), "1", "1", "c2c572ec").koji_tag().startswith("module-nnn")
    assert NSVC("n" * (251 - rest), "1", "1", "c2c572ec").koji_tag() == "module-90399165300ca4f6"
    assert len(NSVC("n" * (50 - rest), "1", "1", "c2c572ec").koji_target()) == 50
    assert len(NSVC("n" * (51 - rest), "1", "1", "c2c572ec").koji_target()) == len("module-") + 16


def test_dist_tag() -> None:
    assert NODEJS.dist_hash == "ecae5081"
    assert NODEJS.disttag(1234, marking="f28") == "module+f28+1234+ecae5081"
    assert NODEJS.disttag(1234) == "module+1234+ecae5081"
    assert NODEJS.disttag(5, marking="el8.1.0", scratch=True) == "scrmod+el8.1.0+5+ecae5081"
    assert NODEJS.disttag(5, prefix="mod_") == "mod_5+ecae5081"


def test_is_read_from_columns_and_from_representations() -> None:
    assert NSVC.of({"name": "nodejs", "stream": 10, "version": 7, "context": None}) == NSVC(
        "nodejs", "10", "7", ""
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nodejs", {"name": "nodejs"}),
        ("nodejs:10:7", {"name": "nodejs", "stream": "10", "version": "7"}),
        *((text, {}) for text in ("", ":10", "nodejs:", "nodejs::7", "a:b:c:d:e")),
    ],
)
def test_the_beginning_of_an_nsvc_is_split_into_named_parts(text: str, parts: dict[str, str]) -> None:
    assert NSVC.split(text) == parts
