"""Literals in macros and spec files: rpm reads back the same text, and no text is executed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from buildsys.local.sandbox import BoundedLog, Limits, Sandbox
from mbs.macros import Place, literal, spec
from mbs.nsvc import NSVC
from tests.mbs.rpm import needs_rpm

pytestmark = needs_rpm

#: Pieces that mean something to rpm's macro engine, its spec parser, or a shell.
PIECES = [
    *(
        "%",
        "%%",
        "%(",
        ")",
        "%{",
        "}",
        "{",
        "%[",
        "]",
        "\\",
        "\\\\",
        "'",
        '"',
        "`",
        "$(",
        "#",
        " ",
        "%*",
        "%1",
    ),
    *(
        "%(touch /builddir/ran)",
        "%%(touch /builddir/ran)",
        "%%%%(touch /builddir/ran)",
        "$(touch /builddir/ran)",
    ),
    *(
        "%{lua:posix.mkdir('/builddir/ran')}",
        "%{expand:%(touch /builddir/ran)}",
        "%{nil}",
        "%dnl",
        "%include",
    ),
    *("%global", "%define a b", "%if 1", "%endif", "%files", "END", "|", "a", "é", "x-1.0", ":"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=6).map("".join)
Run = Callable[[dict[str, str], str], str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a shell script in the sandbox of builds, with files in ``/input``; answers its output."""
    base = tmp_path_factory.mktemp("sandbox")

    def running(files: dict[str, str], script: str) -> str:
        source = base / "input"
        source.mkdir(exist_ok=True)
        source.chmod(0o755)
        for name, text in files.items():
            (source / name).write_text(text, encoding="utf-8")
            (source / name).chmod(0o644)
        sandbox = Sandbox(
            base / "work", base / "root", readonly={"/input": source}, limits=Limits(seconds=60)
        )
        sandbox.prepare()
        log = base / "log"
        log.unlink(missing_ok=True)
        with BoundedLog(log, 1 << 20) as out:
            code = sandbox.run(["/bin/sh", "-c", script], out)
        said = log.read_bytes().decode("utf-8", "surrogateescape")
        assert code == 0, said
        assert not (base / "work" / "ran").exists(), "a text ran"
        return said

    return running


def _literal(text: str, place: Place) -> str | None:
    """The literal, or None for what no line can hold."""
    try:
        return literal(text, place)
    except ValueError:
        assert any(not letter.isprintable() for letter in text)
        return None


@given(st.lists(TEXTS, min_size=1, max_size=25))
@example([*PIECES, "", " a ", "a\\", "\\%{", "\\%\\{", "{", "{}", "%", "%%", "a%", "\\n"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rpm_reads_the_values_of_a_macros_file(run: Run, texts: list[str]) -> None:
    held = {
        f"_t{number}": text for number, text in enumerate(texts) if _literal(text, Place.MACRO) is not None
    }
    file = "".join(f"%{name} {literal(text, Place.MACRO)}\n" for name, text in held.items())
    asked = "".join(f" --eval '[%{{{name}}}]'" for name in held)
    said = run({"macros": file + "%_last end\n"}, f"rpm --load /input/macros{asked} --eval '%{{_last}}'")
    assert said == "".join(f"[{text}]\n" for text in held.values()) + "end\n"


@given(TEXTS, TEXTS)
@example("%(touch /builddir/ran)", "%%(touch /builddir/ran)")
@example("\\%{", "a\\")
@example("a\u00a0 ", "a\u00a0 ")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rpm_reads_the_values_of_a_spec_file(run: Run, line: str, body: str) -> None:
    in_line, in_global = _literal(line, Place.LINE), _literal(body, Place.GLOBAL)
    if in_line is None or in_global is None:
        return
    text = (
        f"%global label {in_global}\nName: n\nVersion: 1\nRelease: 1\nSummary: x{in_line}\n"
        "License: [%{label}]\n%description\nx\n%files\n"
    )
    said = run({"n.spec": text}, "rpmspec -q --qf '%{SUMMARY}\\n%{LICENSE}\\n' /input/n.spec")
    assert said == f"x{line.rstrip(' ')}\n[{body}]\n"


@given(st.tuples(TEXTS, TEXTS, TEXTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example(
    ("%(touch /builddir/ran)", "%%(touch /builddir/ran)", "c"), "\x85%(touch /builddir/ran)\nEND\n%files\r\n"
)
@example(("a", "b\u00a0 ", "c"), "d\u00a0 ")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_macros_package_is_made_and_installs_the_macros_as_they_are(
    run: Run, names: tuple[str, str, str], content: str
) -> None:
    name, stream, context = names
    try:
        text = spec(content, NSVC(name, stream, "1", context), "module+1+c0ffee00")
    except ValueError:
        return
    script = (
        "rpmbuild -bi --nodeps --define '_topdir /builddir/b' /input/m.spec > /builddir/log 2>&1 "
        "|| { cat /builddir/log; exit 1; }; "
        "find /builddir/b -path '*/etc/rpm/macros.zz-modules' -exec cat {} +; "
        "rpmspec -q --qf '%{SUMMARY}' /input/m.spec"
    )
    said = run({"m.spec": text}, script)
    assert said == f"{content}\nMacros for building the module {name}:{stream}".rstrip(" ")
