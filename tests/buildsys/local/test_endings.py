"""Descriptions of exit statuses."""

from __future__ import annotations

import signal

import pytest

from buildsys.local.endings import ending


@pytest.mark.parametrize("code", [-signal.SIGKILL, 128 + signal.SIGKILL])
def test_a_command_that_was_killed_is_named_with_its_signal(code: int) -> None:
    assert ending(code) == "was killed by SIGKILL: the machine may be short of memory"


@pytest.mark.parametrize(("code", "said"), [(-11, "SIGSEGV"), (128 + 15, "SIGTERM")])
def test_other_signals_have_their_names_too(code: int, said: str) -> None:
    assert ending(code) == f"was killed by {said}"


@pytest.mark.parametrize("code", [1, 127, 128, 255])
def test_an_exit_code_is_one(code: int) -> None:
    assert ending(code) == f"ended with code {code}"
