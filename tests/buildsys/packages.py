"""Small packages, module builds and jobs for tests of the local build system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from buildsys.base import Job, Module, TaskState, TaskStatus
from buildsys.local.sandbox import Limits
from buildsys.local.system import LocalBuildSystem
from mbs import macros
from scm.options import ScmOptions

DISTTAG = "module+el9+7+0a1b2c3d"
DOCUMENT = """\
document: modulemd
version: 2
data:
  name: tiny
  stream: "1"
  version: 92026
  context: c0ffee12
  summary: s
  description: d
  license: {module: [MIT]}
  dependencies:
  - buildrequires: {platform: [el9]}
    requires: {platform: [el9]}
  profiles:
    default: {rpms: [one]}
  filter:
    rpms: [hidden]
  buildopts:
    rpms:
      macros: |
        %colour blue
  components:
    rpms:
      one: {rationale: r}
      two: {rationale: r, buildorder: 1}
      hidden: {rationale: r}
      tool: {rationale: r, buildonly: true}
"""


def module(**changes: object) -> Module:
    """Return a module build of ``DOCUMENT``."""
    values: dict[str, object] = {
        "id": 7,
        "name": "tiny",
        "stream": "1",
        "version": "92026",
        "context": "c0ffee12",
        "tag": "module-tiny-1-92026-c0ffee12",
        "owner": "tester",
        "scratch": False,
        "arches": (os.uname().machine,),
        "modulemd": DOCUMENT,
        "disttag": DISTTAG,
        "buildrequires": {"platform": {"stream": "el9", "koji_tag": "module-el9"}},
    }
    return Module(**values | changes)


def identity(of: Module) -> str:
    """Return the beginning of a spec file that replaces a missing macros package."""
    return (
        f'%if "%{{?modularitylabel}}" == ""\n'
        f"%global dist .{of.disttag}\n%global modularitylabel {of.nsvc}\n%endif\n"
    )


def spec(
    name: str,
    *,
    head: str = "",
    build: str = "",
    files: Mapping[str, str] | None = None,
    of: Module | None = None,
) -> str:
    """Return the spec file of a noarch package without sources.

    Args:
        head: More lines of the preamble.
        build: Shell script of ``%build``.
        files: Installed path -> content of one line.
        of: The module build whose dist tag and label are used without a macros package.
    """
    files = files if files is not None else {f"/usr/share/{name}/name": name}
    install = "\n".join(
        f"install -D /dev/null %{{buildroot}}{path}; echo '{text}' > %{{buildroot}}{path}; "
        f"chmod 755 %{{buildroot}}{path}"
        for path, text in files.items()
    )
    return (
        f"{identity(of or module())}"
        f"Name: {name}\nVersion: 1\nRelease: 1%{{?dist}}\nSummary: s\nLicense: MIT\n"
        f"BuildArch: noarch\n{head}\n"
        f"%description\nd\n\n%build\n{build}\n\n%install\n{install}\n\n%files\n" + "\n".join(files)
    )


@dataclass
class Bench:
    """A local build system with one module build, and the submissions that it has sent."""

    root: Path
    limits: Limits = field(default_factory=lambda: Limits(seconds=60))
    module: Module = field(default_factory=module)
    sent: list[int] = field(default_factory=list)
    base_url: str = "http://mbs.example.org"

    def __post_init__(self) -> None:
        self.system = LocalBuildSystem(
            self.root,
            send=lambda number, delay: self.sent.append(number),
            base_url=self.base_url,
            jobs=2,
            limits=self.limits,
            scm=ScmOptions(allow_private=True),
        )
        self.system.prepare(self.module, ["one", "two"])

    def job(self, component: int, package: str, text: str = "", *, attempt: int = 1, source: str = "") -> Job:
        """Return a job for a component."""
        return Job(component, attempt, self.module, package, source=source, spec=text)

    def macros(self, component: int = 1) -> Job:
        """Return the job for the macros package."""
        return self.job(component, macros.PACKAGE, macros.spec_for(self.module))

    def submit(self, job: Job) -> int:
        """Submit a job; return its number."""
        return self.system.submit([job])[0].task_id

    def build(self, job: Job) -> TaskStatus:
        """Submit and run a job."""
        number = self.submit(job)
        assert self.system.run(number) == job.wake_key
        return self.system.statuses([number])[0]

    def complete(self, job: Job, *, final: bool = True) -> str:
        """Build a job that must succeed, and tag it; return its NVR."""
        status = self.build(job)
        assert status.state is TaskState.COMPLETE, f"{status.reason}\n{self.log(status.task_id)}"
        self.system.tag(self.module, [status.nvr], final=final)
        return status.nvr

    def log(self, number: int) -> str:
        """Return the log of a submission."""
        return (self.root / "tasks" / str(number) / "build.log").read_text("utf-8", "replace")

    def rpms(self, number: int) -> list[Path]:
        """Return the RPMs of a submission."""
        return sorted((self.root / "tasks" / str(number) / "rpms").iterdir())
