"""Reading spec files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scm.errors import ScmError
from scm.options import ScmOptions
from scm.specs import Spec, SpecReader, inclusions
from tests.gitrepos import SPEC

PLAIN = "Name: foo\nVersion: 1\nRelease: 1\n"
GOOD = SPEC.format(name="good").encode()


@pytest.fixture(scope="module")
def reader() -> Iterator[SpecReader]:
    with SpecReader(ScmOptions(spec_cpu=1, spec_timeout=10, spec_deadline=600)) as reader:
        yield reader


def _read(reader: SpecReader, text: str) -> Spec:
    return reader.read(text.encode(), "foo.spec")


def test_a_spec_file_is_read(reader: SpecReader) -> None:
    spec = _read(
        reader,
        """\
%global commit abcdef0123456789
%bcond_without tests
%bcond_with docs
%bcond gui 1
Name: %{?prefix}foo
Epoch: 2
Version: 1.5
Release: 3%{?dist}
URL: https://example.org/foo
BuildArch: noarch
Source0: %{url}/archive/v%{version}.tar.gz#/%{name}-%{version}.tar.gz
Source1: foo-%(c=%{commit}; echo ${c:0:7}).conf
Patch: first.patch
Patch12: https://example.org/patches/%{name}-fix.patch
BuildRequires: gcc, make >= 4 pkgconfig(glib-2.0)
BuildRequires: (a if (b or c)) perl(Foo::Bar) >= 2
%if %{with tests}
BuildRequires: tests
Source2: tests.tar
%endif
%if %{with docs}
BuildRequires: docs
%endif
%if %{with gui} && ! 0%{?rhel}
BuildRequires: gui
%endif
%description
Source9: none
%package devel
BuildRequires: devel
%description devel
%package -n libfoo
%description -n libfoo
%patchlist
listed.patch
# comment
%prep
%if 1
%endif
%files
%changelog
* an %if that nobody closes
""",
    )
    assert (spec.name, spec.epoch, spec.version, spec.release) == ("foo", "2", "1.5", "3")
    assert [(file.tag, file.name, file.conditional) for file in spec.sources] == [
        ("Source0", "foo-1.5.tar.gz", True),
        ("Source1", "foo-abcdef0.conf", False),
        ("Source2", "tests.tar", True),
    ]
    assert [file.name for file in spec.patches] == ["first.patch", "foo-fix.patch", "listed.patch"]
    assert spec.buildrequires == (
        "gcc",
        "make >= 4",
        "pkgconfig(glib-2.0)",
        "(a if (b or c))",
        "perl(Foo::Bar) >= 2",
        "tests",
        "gui",
        "devel",
    )
    assert spec.buildarches == ("noarch",)
    assert spec.packages == ("foo", "foo-devel", "libfoo")
    assert spec.warnings == ("Name is only known at build time: foo",)


def test_the_operators_macros_are_known(options: ScmOptions) -> None:
    text = "Name: foo\nVersion: 1\nRelease: 1\n%if 0%{?fedora} > 30\nSource0: new-%{fedora}\n%endif\n"
    with SpecReader(replace(options, macros={"fedora": "39"})) as reader:
        assert [file.name for file in _read(reader, text).sources] == ["new-39"]


def test_macros_that_only_rpm_can_expand_are_left_unchanged(reader: SpecReader) -> None:
    spec = _read(reader, "Name: foo\nVersion: %(date +%%Y)\nRelease: %autorelease\nSource0: %{forgesource}\n")
    assert spec.release == "%autorelease"
    assert spec.sources[0].name == "%{forgesource}"
    assert [warning for warning in spec.warnings if "Version" in warning]


def test_a_macro_that_may_hold_the_name_is_no_missing_name(reader: SpecReader) -> None:
    spec = reader.read(b"Version: 1\nRelease: 1\n%fontpkg\n%prep\n", "SPECS/some-fonts.spec")
    assert spec.name == "some-fonts"
    assert spec.warnings


@pytest.mark.parametrize("missing", ["Name", "Version", "Release"])
def test_a_spec_file_without_its_core_tags_is_refused(reader: SpecReader, missing: str) -> None:
    text = "".join(line for line in PLAIN.splitlines(keepends=True) if not line.startswith(missing))
    for text_without in (text, f"{text}{missing}:\n", f"{text}%description\n{missing}: 1\n"):
        with pytest.raises(ScmError) as caught:
            _read(reader, text_without)
        assert caught.value.code == "spec_incomplete"
        assert missing in caught.value.message
        assert "foo.spec" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        f"%else\n{PLAIN}",
        f"%if\n{PLAIN}%endif\n",
        f"%if 1\n{PLAIN}",
        f"{PLAIN}%if 1\n%else\n%else\n%endif\n",
        "%define a %{b}\n%define b %{a}\nName: %a\n",
    ],
)
def test_a_spec_file_that_does_not_parse_is_refused(reader: SpecReader, text: str) -> None:
    with pytest.raises(ScmError) as caught:
        _read(reader, text)
    assert caught.value.code == "spec_invalid"
    assert caught.value.hint


BOMBS = {
    "a string of 10 GB": "Name: %{rep %{rep a 100000} 100000}\n",
    "a billion laughs": "%global a0 aaaaaaaaaa\n"
    + "".join(f"%global a{i + 1} {f'%{{a{i}}}' * 10}\n" for i in range(11))
    + "Name: %{a11}\n",
    "a backtracking pattern": f"%global x %{{gsub {'a' * 40}b (a+)+$ x}}\nName: %x\n",
    "a number of a million digits": f"%if {'9999999999*' * 900}1\n%endif\nName: %[{'99999999*' * 900}1]\n",
    "macros that grow": "%define a %{a1}%{a1}\n"
    + "".join(f"%define a{i} %{{a{i + 1}}}%{{a{i + 1}}}\n" for i in range(1, 60))
    + "Name: %a\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_no_more_than_its_bounds_and_spares_the_others(
    reader: SpecReader, options: ScmOptions, bomb: str
) -> None:
    before = getrusage(RUSAGE_CHILDREN)
    with pytest.raises(ScmError) as caught:
        _read(reader, BOMBS[bomb] + "Version: 1\nRelease: 1\n")
    assert caught.value.code in {"spec_over_bounds", "spec_invalid"}
    after = getrusage(RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < options.spec_cpu + 2
    assert reader.read(GOOD, "good.spec").name == "good"


def test_the_clock_is_a_bound_too(options: ScmOptions) -> None:
    with (
        SpecReader(replace(options, spec_cpu=60, spec_timeout=1)) as reader,
        pytest.raises(ScmError) as caught,
    ):
        _read(reader, BOMBS["a backtracking pattern"])
    assert caught.value.code == "spec_over_bounds"


def test_all_spec_files_together_have_a_deadline(options: ScmOptions) -> None:
    with SpecReader(replace(options, spec_deadline=1.5, spec_timeout=1)) as reader:
        for _ in range(2):
            with pytest.raises(ScmError):
                _read(reader, BOMBS["a backtracking pattern"])
        with pytest.raises(ScmError) as caught:
            reader.read(GOOD, "good.spec")
    assert "took too long" in caught.value.message


def test_a_spec_file_runs_and_reads_nothing(reader: SpecReader, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("%global stolen yes\n")
    spec = _read(
        reader,
        f"""\
%(touch {tmp_path}/shell)
%global x %(touch {tmp_path}/shell2; cat {secret})
%{{lua: os.execute("touch {tmp_path}/lua") print(io.open("{secret}"):read()) }}
%{{load:{secret}}}
%include {secret}
%{{uncompress: {secret}}}
%{{getenv:PATH}}
%{{shescape:x}}
%{{exists:{secret}}}
{PLAIN}Source0: %{{x}}
Source1: a`touch {tmp_path}/backtick`$(touch {tmp_path}/dollar)
Source2: %{{?stolen}}none
Source3: %{{getenv:PATH}}
""",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert [file.value for file in spec.sources][2:] == ["none", "%{getenv:PATH}"]
    assert "yes" not in spec.sources[0].value


@pytest.mark.parametrize(
    "deed",
    [
        "import os; os.system('touch {path}')",
        "import subprocess; subprocess.run(['touch', '{path}'])",
        "import os; os.fork() or open('{path}', 'w')",
        "open('{path}', 'w')",
        "print(open('/etc/passwd').read())",
        "import os; os.listdir('/')",
        "import socket; socket.create_connection(('127.0.0.1', 1))",
    ],
)
def test_even_a_parser_that_would_may_not(
    deed: str, tmp_path: Path, options: ScmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "norpm"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "builtins.py").write_text("BUILTINS = {}\n")
    (package / "exceptions.py").write_text(
        "class NorpmError(Exception): pass\nclass NorpmRecursionError(NorpmError): pass\n"
    )
    (package / "macro.py").write_text("class MacroRegistry(dict):\n    def known_norpm_hacks(self): pass\n")
    (package / "macrofile.py").write_text("def macrofile_parse(*arguments): pass\n")
    (package / "specfile.py").write_text(
        "import os, socket, subprocess\n"
        "class ParserHooks: pass\n"
        "def specfile_expand(text, registry, hooks):\n"
        f"    if 'evil' in text: {deed.format(path=tmp_path / 'touched')}\n"
        "    for tag in ('name', 'version', 'release'): hooks.tag_found(tag, 'x', tag)\n"
        "    return ''\n"
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda _: _Found(str(package / "__init__.py")))
    with SpecReader(options) as reader:
        assert _read(reader, "good").name == "x"
        with pytest.raises(ScmError, match="which is not allowed"):
            _read(reader, "evil")
    assert not (tmp_path / "touched").exists()


class _Found:
    def __init__(self, origin: str) -> None:
        self.origin = origin


PIECES = (
    "% { } ( ) [ ] ? ! \\ if else endif define global Name: x 1 * - # expand: gsub rep sub quote: undefine **"
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([*PIECES.split(), " ", "\n", "\0"]), max_size=60).map(
        lambda it: "".join(it).encode()
    )
)
def test_whatever_is_sent_gets_a_verdict(reader: SpecReader, content: bytes) -> None:
    try:
        verdict = reader.read(content, "foo.spec").name
    except ScmError as error:
        verdict = error.code
    assert verdict
    assert reader.read(GOOD, "good.spec").name == "good"


@pytest.mark.parametrize(
    ("release", "dist"),
    [
        ("1%{?dist}", True),
        ("1%{dist}.2", True),
        ("0.1%dist", True),
        ("%autorelease", True),
        ("%{autorelease -b 3}", True),
        ("%{release_of_ours}", True),
        ("%{unknown}", True),
        ("1", False),
        ("1.el9", False),
        ("%{plain}", False),
    ],
)
def test_a_release_without_dist_is_noticed(reader: SpecReader, release: str, dist: bool) -> None:
    head = "%global release_of_ours 3%{?dist}\n%global plain 3\n"
    assert _read(reader, f"{head}Name: foo\nVersion: 1\nRelease: {release}\n").dist is dist


def test_a_chain_of_conditions_is_read_as_rpm_reads_it(reader: SpecReader) -> None:
    chain = "%if 0\nVersion: 1\n%elif 1\nVersion: 2\n%elif 1\nVersion: 3\n%else\nVersion: 4\n%endif\n"
    spec = _read(reader, f"Name: foo\nRelease: 1\n{chain}")
    assert spec.version == "2"


@pytest.mark.parametrize(
    ("condition", "taken"),
    [("%ifos linux", True), ("%ifnos linux", False), ("%ifos solaris", False), ("%ifarch aarch64", False)],
)
def test_conditions_about_the_system_are_evaluated(reader: SpecReader, condition: str, taken: bool) -> None:
    chosen = f"{condition}\n%global epoch_of_it 7\n%else\n%global epoch_of_it 8\n%endif\n"
    spec = _read(reader, f"{chosen}{PLAIN}Epoch: %{{epoch_of_it}}\n")
    assert spec.epoch == ("7" if taken else "8")


def test_an_else_chain_about_architectures_is_read(reader: SpecReader) -> None:
    text = (
        "%ifarch s390x\nVersion: 1\n%elifarch x86_64 aarch64\nVersion: 2\n%elifos linux\nVersion: 3\n%endif\n"
    )
    assert _read(reader, f"Name: foo\nRelease: 1\n{text}").version == "2"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{PLAIN}%if 1\n%elif\n%endif\n", "line 5: %elif has no expression"),
        (f"{PLAIN}%if 1\n%else\n%elif 1\n%endif\n", "line 6: %elif follows %else"),
        (f"{PLAIN}%endif\n", "line 4: %endif has no %if"),
        (f"{PLAIN}%if 1\n", "line 4: an %if has no %endif"),
    ],
)
def test_conditions_that_rpm_refuses_are_refused_with_their_line(
    reader: SpecReader, text: str, reason: str
) -> None:
    with pytest.raises(ScmError) as caught:
        _read(reader, text)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("release", "source"),
    [
        ("1%{?dist}", "foo-%{release}.tar"),
        ("1", "foo-%{?dist}.tar"),
        ("1", "foo-%{?rhel}.tar"),
        ("1", "foo-%{_target_cpu}.tar"),
        ("1", "foo%{?with_docs:-docs}.tar"),
        ("1", "foo-%{?macro_of_the_module}.tar"),
    ],
)
def test_a_source_named_by_the_build_environment_is_uncertain(
    reader: SpecReader, release: str, source: str
) -> None:
    head = "%bcond_with docs\n" if "docs" in source else ""
    spec = _read(reader, f"{head}Name: foo\nVersion: 1\nRelease: {release}\nSource0: {source}\n")
    assert spec.sources[0].conditional


def test_a_source_named_by_the_file_itself_is_certain(reader: SpecReader) -> None:
    spec = _read(reader, f"%global part core\n{PLAIN}Source0: %{{name}}-%{{part}}-%{{version}}.tar\n")
    assert (spec.sources[0].name, spec.sources[0].conditional) == ("foo-core-1.tar", False)


def test_a_tag_under_a_condition_of_the_distribution_is_taken_with_a_warning(reader: SpecReader) -> None:
    chosen = "%if 0%{?rhel}\nVersion: 8\n%endif\n"
    spec = _read(reader, f"Name: foo\nRelease: 1\n{chosen}")
    assert spec.version == "8"
    assert spec.warnings == ("Version is only known at build time: 8",)


def test_a_section_in_the_body_of_a_macro_does_not_end_the_preamble(reader: SpecReader) -> None:
    body = "%define subpackage() \\\n%package %{1}\\\n%files %{1}\\\n%if 1\\\n%nil\n"
    body += "%global other() %{expand:\n%build\n}\n"
    spec = _read(reader, f"{body}{PLAIN}Source0: a.tar\n%description\n%prep\n")
    assert (spec.name, [file.name for file in spec.sources]) == ("foo", ["a.tar"])


def test_tags_come_from_files_of_the_same_commit(reader: SpecReader) -> None:
    text = b"%include %{SOURCE1}\n%{load:%{SOURCE2}}\nRelease: 1\nName: foo\nVersion: %{of_the_file}\n"
    included = {"%{SOURCE1}": b"Source0: from-the-file.tar\n", "%{SOURCE2}": b"%of_the_file 3\n"}
    spec = reader.read(text, "foo.spec", included)
    assert (spec.version, [file.name for file in spec.sources]) == ("3", ["from-the-file.tar"])


def test_files_that_a_spec_file_includes_are_found_in_its_commit() -> None:
    spec = (
        b"Source0: https://example.org/foo.tar\nSource1: tags.inc\n%include %{SOURCE1}\n"
        b"%{load:%{S:2}}\nSource2: macros.foo\n%include plain.inc\n%include /etc/passwd\n%include missing\n"
    )
    files = ["foo.spec", "SOURCES/tags.inc", "macros.foo", "plain.inc", "deep/down/missing", "passwd.txt"]
    assert inclusions(spec, files) == {
        "%{SOURCE1}": "SOURCES/tags.inc",
        "%{S:2}": "macros.foo",
        "plain.inc": "plain.inc",
    }


def test_a_tag_may_come_from_a_file_that_is_not_there(reader: SpecReader) -> None:
    spec = _read(reader, "%include %{_libdir}/python.inc\nVersion: 1\n")
    assert (spec.name, spec.version) == ("foo", "1")
    assert any(warning.startswith("Release is only known") for warning in spec.warnings)


def test_utf_16_is_refused_with_the_cause(reader: SpecReader) -> None:
    with pytest.raises(ScmError, match="UTF-16"):
        reader.read(PLAIN.encode("utf-16"), "foo.spec")


def test_the_limits_of_the_parser_are_no_fault_of_the_spec_file(
    reader: SpecReader,
) -> None:
    # norpm does not know this form of a macro's name, and fails over it.
    spec = _read(reader, f"%global 9lives 1\n{PLAIN}Source0: a.tar\n")
    assert (spec.name, spec.version) == ("foo", "1")
