"""Excerpts of logs that explain a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildsys.excerpts import AROUND, SEARCHED, excerpt, excerpt_of_file

SECTION = "Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.1\n"
END = (
    "error: Bad exit status from /var/tmp/rpm-tmp.1 (%build)\n\nRPM build errors:\n"
    "    Bad exit status from /var/tmp/rpm-tmp.1 (%build)\n"
)


def cause(text: str) -> str:
    found = excerpt(text.encode(), "build.log")
    assert found is not None
    return found.cause


@pytest.mark.parametrize(
    "line",
    [
        "greet.c:3:5: error: unknown type name 'foo'",
        "greet.c:1:10: fatal error: zlib.h: No such file or directory",
        "/usr/bin/ld: greet.o: undefined reference to `frob'",
        "/usr/bin/ld: cannot find -lfrob: No such file or directory",
        "error[E0432]: unresolved import `frob`",
        "./main.go:7:2: undefined: frob",
        "configure: error: no acceptable C compiler found in $PATH",
        "CMake Error at CMakeLists.txt:4 (find_package):",
        '../meson.build:7:0: ERROR: Dependency "frob" not found, tried pkgconfig',
        "    frob-devel >= 2 is needed by one-1-1.x86_64",
        "No matching package to install: 'frob-devel'",
        " - nothing provides libfrob.so.1 needed by bar-1-1.x86_64",
        "Package frob was not found in the pkg-config search path.",
        "Can't locate Frob.pm in @INC (you may need to install the Frob module)",
        "ModuleNotFoundError: No module named 'frob'",
        "/var/tmp/rpm-tmp.1: line 33: frobnicate: command not found",
        "FAIL: test-greet.sh",
        "FAILED tests/test_one.py::test_it - assert 1 == 2",
        "--- FAIL: TestFrob (0.00s)",
        " 2/7 Test #2: frob ..........***Failed    0.01 sec",
        "not ok 3 - it greets",
        "[  FAILED  ] Greeting.Works (0 ms)",
        "===== failed: Build requirements are not met: frob-devel. Neither an earlier batch provides it.",
    ],
)
def test_the_line_that_names_the_cause_is_found(line: str) -> None:
    noise = "gcc -Werror=format -c one.c\nchecking for errors... none\n0 tests failed\n"
    assert cause(f"{SECTION}{noise}{line}\nmake: *** [Makefile:3: all] Error 1\n{END}") == line.strip()


def test_the_first_of_several_causes_is_shown_with_five_lines_around_and_its_number() -> None:
    lines = [f"line {number}" for number in range(20)]
    lines[8], lines[12] = "a.c:1: error: first", "b.c:1: error: second"
    found = excerpt((SECTION + "\n".join(lines)).encode(), "build.log")
    assert found is not None
    assert (found.cause, found.line, found.place) == ("a.c:1: error: first", 10, AROUND)
    assert found.lines == tuple(lines[3:14])


def test_causes_of_earlier_sections_do_not_count() -> None:
    text = f"Executing(%prep): x\nold.c:1: error: ignored\n{SECTION}nothing to see\nlast words\n{END}"
    assert cause(text) == "error: Bad exit status from /var/tmp/rpm-tmp.1 (%build)"
    assert cause(f"{SECTION}nothing to see\nlast words\n\n") == "last words"


def test_a_sign_is_taken_where_no_cause_is_named() -> None:
    assert cause(f"{SECTION}one\nmake: *** [Makefile:3: all] Error 1\ntwo\n{END}").startswith("make: ***")


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n"])
def test_a_log_without_text_has_no_excerpt(text: str) -> None:
    assert excerpt(text.encode(), "build.log") is None


def test_a_program_that_rpm_itself_misses_is_not_the_cause() -> None:
    log = (
        b"ARG0: 1: file: not found\nerror: create archive failed: cpio: open failed - Read-only file system\n"
    )
    found = excerpt(log, "build.log")
    assert found is not None
    assert "Read-only file system" in found.cause


def test_control_sequences_and_long_lines_are_made_harmless() -> None:
    line = b"a.c:1: error: \x1b[2J\xff\xe2\x80\xae" + b"x" * 100_000
    found = excerpt(line, "build.log")
    assert found is not None
    assert found.cause.isprintable()
    assert len(found.cause) == 300


def test_a_long_log_is_searched_at_its_end_and_lines_before_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    path.write_bytes(b"a.c:1: error: too long ago\n" + b"noise\n" * (SEARCHED // 4) + b"b.c:1: error: here\n")
    found = excerpt_of_file(path)
    assert found is not None
    assert (found.cause, found.log) == ("b.c:1: error: here", "build.log")
    assert found.line == SEARCHED // 4 + 2


def test_a_link_is_not_followed_and_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a.c:1: error: secret\n")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "missing"):
        assert excerpt_of_file(tmp_path / name) is None
