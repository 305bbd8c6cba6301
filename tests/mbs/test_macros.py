"""The spec file of module-build-macros; the tests of the local build system run rpm on it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mbs.macros import conflict, spec_for
from mbs.nsvc import NSVC
from tests.mbs.rpm import needs_rpm

DOCUMENT = """\
document: modulemd
version: 2
data:
  name: nodejs
  stream: "10"
  version: 1
  context: c0ffee12
  summary: s
  description: d
  license: {module: [MIT]}
  buildopts:
    rpms:
      macros: |
        %with_tests 1
        %body() %{expand:
        %if 0%{?fedora}
        50%% of %files
        %endif}
        END
  xmd:
    mbs:
      ursine_rpms: [libuv-1:1.2-3.el8]
      buildrequires:
        platform: {stream: el8, ursine_rpms: [nodejs-0:8.1-1.el8]}
        perl: {stream: "5.26", filtered_rpms: [perl-Secret-0:1-2.module+el8.noarch, perl-doc]}
"""


@dataclass
class Build:
    nsvc = NSVC("nodejs", "10", "1", "c0ffee12")
    disttag: str = "module+el8+1+0a1b2c3d"
    modulemd: str = DOCUMENT


def sections(build: Build, folder: Path) -> tuple[str, str]:
    """What rpm reads in the spec file: its conflicts, and the macros file that it would install."""
    path = folder / "module-build-macros.spec"
    path.write_text(spec_for(build))
    conflicts = subprocess.run(
        ["rpmspec", "-q", "--conflicts", str(path)], check=True, capture_output=True, text=True
    ).stdout
    script = subprocess.run(
        ["rpmspec", "-P", "--define", f"_topdir {folder}/rpmbuild", str(path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    install = script.partition("%install\n")[2].partition("\n%files")[0]
    subprocess.run(["sh", "-e", "-c", install], check=True)
    (file,) = folder.rglob("macros.zz-modules")
    return conflicts, file.read_text()


@needs_rpm
def test_rpm_gets_the_macros_as_the_author_wrote_them(tmp_path: Path) -> None:
    _, macros = sections(Build(), tmp_path)
    lines = macros.splitlines()
    assert lines[:7] == [
        "%dist .module+el8+1+0a1b2c3d",
        "%modularitylabel nodejs:10:1:c0ffee12",
        "%_module_build 1",
        "%_module_name nodejs",
        "%_module_stream 10",
        "%_module_version 1",
        "%_module_context c0ffee12",
    ]
    assert macros.endswith(
        "%with_tests 1\n%body() %{expand:\n%if 0%{?fedora}\n50%% of %files\n%endif}\nEND\n"
    )


@needs_rpm
def test_packages_excluded_from_the_buildroot_are_conflicts(tmp_path: Path) -> None:
    conflicts, _ = sections(Build(), tmp_path)
    assert sorted(conflicts.splitlines()) == [
        "libuv = 1:1.2-3.el8",
        "nodejs = 0:8.1-1.el8",
        "perl-Secret = 0:1-2.module+el8",
        "perl-doc",
    ]


def test_the_release_carries_the_dist_tag() -> None:
    text = spec_for(Build())
    assert "Version:        0.1\nRelease:        1.module+el8+1+0a1b2c3d\n" in text


@pytest.mark.parametrize(
    ("rpm", "expected"),
    [
        ("perl-libs-4:5.26-1.el8", "perl-libs = 4:5.26-1.el8"),
        ("perl-libs-4:5.26-1.el8.x86_64", "perl-libs = 4:5.26-1.el8"),
        ("foo-1.0-2.el8.noarch", "foo = 1.0-2.el8"),
        ("perl-Test-Simple", "perl-Test-Simple"),
        ("foo", "foo"),
    ],
)
def test_a_conflict_names_the_build_when_one_is_named(rpm: str, expected: str) -> None:
    assert conflict(rpm) == expected


@pytest.mark.parametrize("disttag", ["", "a b", "a\n%files", "%(id)"])
def test_a_dist_tag_that_means_something_to_rpm_is_refused(disttag: str) -> None:
    with pytest.raises(ValueError, match="spec file"):
        spec_for(Build(disttag=disttag))


def test_a_conflict_that_means_something_to_rpm_is_refused() -> None:
    with pytest.raises(ValueError, match="spec file"):
        spec_for(Build(modulemd=DOCUMENT.replace("perl-doc", "'a%(id)'")))
