"""The suite that every hub must pass: ``pytest tests/integration --koji-config FILE --koji-profile NAME``.

Without ``--koji-config`` it runs against the hub double, which thus must behave like real hubs.

The hub needs a user with the permissions that ``mbs-manager doctor`` checks, a base tag with architectures
and groups, and builders that can reach the dist-git.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pika
import pytest

from buildsys.base import Job, Module, Submission, TaskState, TaskStatus
from buildsys.koji.importing import ImportOptions
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Access, Hub
from buildsys.koji.system import KojiBuildSystem
from buildsys.koji.tags import TagOptions
from config.schema import Koji
from mbs import macros
from mbs.nsvc import NSVC
from tests.buildsys.koji.double import HubDouble
from tests.buildsys.koji.double.state import Row

_DEFAULTS = {
    "--koji-config": "",
    "--koji-profile": "koji",
    "--koji-user": "",
    "--koji-password": "",
    "--koji-base-tag": "platform-build",
    "--koji-base-stream": "f40",
    "--koji-permission": "",
    "--koji-admin": "",
    "--koji-admin-password": "",
    "--koji-sources": "",
    "--koji-packages": "mbsalpha,mbsbeta,mbsgamma",
    "--koji-dependant": "",
    "--koji-patience": "240",
    "--amqp-url": "",
}
MODULEMD = """\
document: modulemd
version: 2
data:
  name: {name}
  stream: main
  version: {version}
  context: c0ffee00
  summary: A module
  description: A module of the integration suite.
  license: {{module: [MIT]}}
  xmd:
    mbs: {{scmurl: 'https://git.example.com/modules/{name}#0123456'}}
  dependencies:
  - buildrequires: {{platform: [{base}]}}
    requires: {{platform: [{base}]}}
  filter: {{rpms: [{first}-devel]}}
  profiles:
    buildroot: {{rpms: [{first}]}}
  components:
    rpms:
{components}"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options about the hub."""
    for name, default in _DEFAULTS.items():
        parser.addoption(name, default=default)


@dataclass
class Setting:
    """A hub, and the objects on it that the suite may use."""

    system: KojiBuildSystem
    base_tag: str
    base_stream: str
    sources: str
    packages: list[str]
    #: a package that needs the ``-devel`` package of the first one to build; empty if there is none
    dependant: str
    #: the hub as an administrator, who may delete builds; None if there is no such account
    admin: Hub | None
    double: HubDouble | None
    #: seconds to wait for a real builder
    patience: float

    def source(self, package: str) -> str:
        """Return the url and newest commit of a package's dist-git."""
        if self.double:
            return f"https://git.example.com/rpms/{package}#{'0' * 40}"
        url = f"{self.sources.rstrip('/')}/{package}"
        answer = subprocess.run(["git", "ls-remote", url, "HEAD"], capture_output=True, text=True, check=True)
        return f"{url}#{answer.stdout.split()[0]}"

    def module(self, name: str) -> Module:
        """Return a module that has not been built."""
        nsvc = NSVC(f"mbstest-{name}", "main", str(int(time.time() * 1000)), "c0ffee00")
        first = self.packages[0]
        rows = "".join(
            f"      {package}: {{rationale: needed, ref: main, buildroot: {str(package == first).lower()}}}\n"
            for package in sorted(self.packages)
        )
        return Module(
            id=int(nsvc.version) % 1_000_000_000,
            name=nsvc.name,
            stream=nsvc.stream,
            version=nsvc.version,
            context=nsvc.context,
            tag=nsvc.koji_tag(),
            owner="nobody-that-koji-knows",
            scratch=False,
            arches=("x86_64",),
            modulemd=MODULEMD.format(
                name=nsvc.name,
                version=nsvc.version,
                base=self.base_stream,
                first=first,
                components=rows,
            ),
            disttag=nsvc.disttag(int(nsvc.version) % 100_000),
            buildrequires={"platform": {"stream": self.base_stream, "koji_tag": self.base_tag}},
            groups={"build": ("bash", "coreutils"), "srpm-build": ("bash",)},
        )

    def macros_job(self, module: Module, conflicts: Iterable[str] = ()) -> Job:
        """Return the job for the macros package."""
        content = macros.macros(module.nsvc, module.disttag)
        spec = macros.spec(content, module.nsvc, module.disttag, conflicts)
        return Job(module.id * 10, 1, module, macros.PACKAGE, spec=spec, arches=module.arches)

    def jobs(self, module: Module, packages: list[str]) -> list[Job]:
        """Return jobs for packages."""
        return [
            Job(module.id * 10 + place, 1, module, package, source=self.source(package), arches=module.arches)
            for place, package in enumerate(packages, 1)
        ]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition."""
        end = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < end, f"waited {self.patience} s in vain for {what}"
            time.sleep(0.02 if self.double else 1)

    def ended(self, submissions: list[Submission]) -> list[TaskStatus]:
        """Wait until submissions have ended; return their statuses."""
        found: list[TaskStatus] = []

        def all_ended() -> bool:
            found[:] = self.system.statuses([each.task_id for each in submissions])
            return all(status.state is not TaskState.OPEN for status in found)

        self.wait(all_ended, "builds to end")
        return found

    def tag(self, module: Module, nvrs: list[str], *, final: bool) -> None:
        """Tag builds and wait until they are tagged."""

        def done() -> bool:
            self.system.tag(module, nvrs, final=final)
            tagged = self.system.tagged(module, nvrs)
            return set(nvrs) <= (tagged.buildroot & tagged.final if final else tagged.buildroot)

        self.wait(done, f"{nvrs} to be tagged")


def _publisher(url: str) -> Callable[[str, Row], None]:
    """Return a function that publishes the double's messages, called while the double is locked."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()

    def publish(topic: str, body: Row) -> None:
        channel.basic_publish("amq.topic", f"org.fedoraproject.prod.{topic}", json.dumps(body))

    return publish


@pytest.fixture(scope="session")
def setting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """The hub of the test run."""
    values = {name: request.config.getoption(name, default) for name, default in _DEFAULTS.items()}
    double = None
    if not values["--koji-config"]:
        double = HubDouble(build_seconds=0.5, repo_seconds=0.05, tag_seconds=0.02).start()
        config = double.write_profile(tmp_path_factory.mktemp("koji") / "koji.conf")
        values |= {"--koji-config": str(config), "--koji-user": "mbs", "--koji-password": "mbs"}
        values |= {"--koji-permission": "module-tags"}
        values |= {"--koji-admin": "kojiadmin", "--koji-admin-password": "kojiadmin"}
        if values["--amqp-url"]:
            double.books.listeners.append(_publisher(values["--amqp-url"]))
    options = KojiOptions(
        access=Access(
            Path(values["--koji-config"]),
            values["--koji-profile"],
            user=values["--koji-user"],
            password=values["--koji-password"],
            timeout=60,
            retry_interval=0.5,
        ),
        repository_url="https://repos.example.com",
        tag_prefixes=("module",),
        tags=TagOptions(
            values["--koji-permission"],
            # With real builders, dnf installs the macros package only with module_hotfixes.
            Koji.model_fields["KOJI_TAG_EXTRA_OPTS"].default,
        ),
        imports=ImportOptions(),
    )
    user, password = values["--koji-admin"], values["--koji-admin-password"]
    admin = Hub(replace(options.access, user=user, password=password)) if user else None
    yield Setting(
        KojiBuildSystem(options),
        values["--koji-base-tag"],
        values["--koji-base-stream"],
        values["--koji-sources"],
        values["--koji-packages"].split(","),
        values["--koji-dependant"],
        admin,
        double,
        10 if double else float(values["--koji-patience"]),
    )
    if double:
        double.stop()
