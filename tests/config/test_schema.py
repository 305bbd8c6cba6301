"""Descriptions and secrets of the options."""

from __future__ import annotations

import pytest

from config.describe import describe_options, masked
from config.schema import GROUPS, Options
from tests.config.conftest import KEY


def test_every_option_has_a_meaning_and_one_group():
    names = [option.name for option in describe_options()]
    assert sorted(names) == sorted(Options.model_fields)
    for option in describe_options():
        assert option.meaning.endswith("."), option.name
        assert option.type, option.name
        assert option.group, option.name


def test_groups_share_no_option():
    assert sum(len(group.model_fields) for group in GROUPS) == len(Options.model_fields)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "abc", "********"),
        ("DATABASE_URL", "postgresql://mbs:a:b@h/mbs", "postgresql://mbs:********@h/mbs"),
        (
            "DATABASE_URL",
            "postgresql://mbs@h/mbs?password=a&x=y",
            "postgresql://mbs@h/mbs?password=********&x=y",
        ),
        ("DATABASE_URL", "sqlite:////srv/a@b:c/mbs", "sqlite:////srv/a@b:c/mbs"),
        ("BROKER_URL", "redis://:abc@h:6379/0", "redis://:********@h:6379/0"),
        ("BROKER_URL", "redis://h:6379/0", "redis://h:6379/0"),
        ("BROKER_URL", "sentinel://:a@h:1;sentinel://:b@i:2", "sentinel://:********@i:2"),
        ("BROKER_URL", "rediss://h/0?ssl_keyfile=a&x=y", "rediss://h/0?ssl_keyfile=********&x=y"),
        ("LDAP_URI", "ldaps://mbs:a@h", "ldaps://mbs:********@h"),
        ("FLOWER_URL", "https://a/?auth=b#c", "https://a/?auth=********#c"),
        (
            "SCMURLS",
            ("https://u:a@h/x/", "https://a@h/y/"),
            ("https://u:********@h/x/", "https://********@h/y/"),
        ),
        ("LOOKASIDE_URLS", {"https://a": "https://u:b@h/c"}, {"https://a": "https://u:********@h/c"}),
        ("KOJI_TAG_EXTRA_OPTS", {"password": "a", "x": 1}, {"password": "********", "x": 1}),
        ("SCMURLS", ("https://h:8080/x/?a=b",), ("https://h:8080/x/?a=b",)),
        ("SYSTEM", "koji", "koji"),
    ],
)
def test_secrets_are_masked(name, value, expected):
    assert masked(name, value) == expected


def test_no_secret_is_in_a_representation(load_with):
    text = repr(load_with("BROKER_URL = 'redis://:hunter2@h/0'"))
    assert "hunter2" not in text
    assert KEY not in text
