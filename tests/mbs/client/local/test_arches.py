"""Architectures of local builds."""

from __future__ import annotations

import platform

import pytest

from mbs.client.local.arches import check_arch
from mbs.errors import InvalidInput


def test_the_architecture_of_this_machine_is_built() -> None:
    check_arch("")
    check_arch(platform.machine())


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("noarch", "noarch is not one of a machine"),
        ("i686", "their sandbox runs only x86_64 programs"),
        ("s390x", "not for 's390x'"),
        ("\x1b[2J", r"not for '\\x1b\[2J'"),
    ],
)
def test_other_architectures_are_refused_with_the_reason(
    wanted: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(InvalidInput, match=reason) as refused:
        check_arch(wanted)
    assert refused.value.message.startswith("This machine builds for x86_64, not for ")
    assert refused.value.hint
