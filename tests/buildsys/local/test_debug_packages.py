"""Packages without debug information."""

from __future__ import annotations

import pytest

from buildsys.base import TaskState
from buildsys.local.host import has_rpm_database
from tests.buildsys.packages import Bench, spec

COMPILED = "echo 'int main(void) { return 0; }' > main.c; cc -s -o main main.c"


@pytest.mark.skipif(has_rpm_database(), reason="this machine's rpm makes debug packages, as Koji's does")
@pytest.mark.parametrize("build", ["true", COMPILED])
def test_a_package_without_debug_information_builds(bench: Bench, build: str) -> None:
    text = spec("one").replace("BuildArch: noarch\n", "")
    text = text.replace("%build\n", f"%prep\n%setup -c -T\n\n%build\n{build}\n")
    text = text.replace(
        "%files\n", "test ! -e main || install -D main %{buildroot}/usr/share/one/name\n\n%files\n"
    )
    status = bench.build(bench.job(2, "one", text))
    assert status.state is TaskState.COMPLETE, bench.log(status.task_id)
    assert [path.name.split("-")[0] for path in bench.rpms(status.task_id)] == ["one", "one"]
