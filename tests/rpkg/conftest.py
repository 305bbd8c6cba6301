"""The real rpkg client, configured for the service."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import redis_server
from tests.rpkg.service import API, Service

REQUIREMENTS = ("rpkg==1.70", "openidc-client==0.6.0", "requests-gssapi==1.4.0")
#: Debian's and Fedora's own Python, which has the rpm bindings.
SYSTEM_PYTHON = "/usr/bin/python3"
LAUNCHER = Path(__file__).with_name("launcher.py")
CONFIGURATION = """\
[rpkg]
lookaside = http://127.0.0.1:1/repo
lookasidehash = sha512
lookaside_cgi = http://127.0.0.1:1/upload
gitbaseurl = {git}/%(repo)s
anongiturl = {git}/%(repo)s
branchre = main$
kojiprofile = test
build_client = koji
distgit_namespaced = True

[rpkg.mbs]
api_url = {url}
{auth}
"""
KERBEROS = "auth_method = kerberos"
KOJI_PROFILE = """\
[test]
server = http://127.0.0.1:1/kojihub
weburl = http://koji.example.com/koji
topurl = http://koji.example.com/
"""


@pytest.fixture(scope="session")
def rpkg_python(request: pytest.FixtureRequest) -> Path:
    """The Python of a virtual environment with rpkg, which is made once and kept in pytest's cache."""
    if request.config.cache is None:
        pytest.skip("rpkg is installed into pytest's cache, which is off")
    folder = Path(request.config.cache.mkdir("rpkg-1.70"))
    with folder.with_suffix(".lock").open("w") as lock:
        # Parallel test runs share it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _installed(folder)


def _installed(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if _works(python):
        return python
    if not _works(Path(SYSTEM_PYTHON), "rpm"):
        pytest.skip(f"{SYSTEM_PYTHON} has no bindings of rpm (Debian: apt install python3-rpm)")
    shutil.rmtree(folder)
    steps = (
        (SYSTEM_PYTHON, "-m", "venv", "--system-site-packages", str(folder)),
        (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS),
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=600)
        if done.returncode:
            pytest.skip(f"rpkg cannot be installed: {done.stderr.strip()[-500:]}")
    assert _works(python), "rpkg is installed, but cannot be imported"
    return python


def _works(python: Path, modules: str = "pyrpkg.cli, openidc_client, requests_gssapi") -> bool:
    return (
        python.exists()
        and not subprocess.run(
            (python, "-c", f"import {modules}"), capture_output=True, timeout=60
        ).returncode
    )


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, rpkg_python: Path) -> Iterator[Service]:
    """The service as separate processes."""
    with redis_server() as broker:
        there = Service(tmp_path_factory.mktemp("service"), broker)
        try:
            there.prepare()
            yield there
        finally:
            there.stop()


@dataclass(frozen=True)
class Rpkg:
    """The real client, as a user calls it.

    Attributes:
        home: The user's home folder, and by default the working directory.
    """

    python: Path
    configuration: Path
    home: Path

    def __call__(self, *arguments: str, fails: bool = False, cwd: Path | None = None, **environ: str) -> str:
        """Run a command; answers what it printed. It must succeed, or fail, as the test says."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("MBS_", "DJANGO_"))
        }
        done = subprocess.run(
            (self.python, LAUNCHER, self.configuration, *arguments),
            cwd=cwd or self.home,
            env={**inherited, "HOME": str(self.home), "PATH": path, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Local builds start a service.
            timeout=300,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout


@pytest.fixture
def client(service: Service, rpkg_python: Path, tmp_path: Path) -> Callable[..., Rpkg]:
    """Configure rpkg for a server: ``client(url, auth)``."""
    profile = tmp_path / ".koji" / "config.d" / "test.conf"
    profile.parent.mkdir(parents=True)
    profile.write_text(KOJI_PROFILE)

    def configured(url: str, auth: str = KERBEROS) -> Rpkg:
        path = tmp_path / "rpkg.conf"
        text = CONFIGURATION.format(git=service.git.as_uri(), url=f"{url}{API}", auth=auth)
        path.write_text(text)
        return Rpkg(rpkg_python, path, tmp_path)

    return configured
