"""Run sandboxed commands as root, as a user with subordinate ids, and as one without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parents[2]
#: The service's group and the group of its configuration, which no account on any machine has.
USER, GROUP = 64_123, 64_124
_SUBORDINATE = 2_064_123_000
#: Runs before the program below: sets up accounts in a mount namespace, and a secret.
_STAGE = """
set -e
mount --make-rprivate /
mount --bind "$1/passwd" /etc/passwd
for file in subuid subgid; do [ ! -e /etc/$file ] || mount --bind "$1/$file" /etc/$file; done
mount -t tmpfs none /etc/opt
echo very-secret > /etc/opt/config.py
chown 0:%d /etc/opt/config.py
chmod 0640 /etc/opt/config.py
for group in $2; do echo $$ > $group/cgroup.procs; done
shift 2
exec "$@"
"""
_DRIVER = """
import ctypes, json, os, socket, sys
from pathlib import Path
from buildsys.local.sandbox import BoundedLog, Limits, Sandbox, Stopped

order = json.loads(sys.argv[1])
base = Path(order["base"])
os.environ["MBS_PASSWORD"] = "very-secret"
libc = ctypes.CDLL(None)
number = {"x86_64": (250, 248), "aarch64": (219, 217)}.get(os.uname().machine)
if number:  # a session keyring with a key in it, as a login with Kerberos leaves it
    libc.syscall(number[0], 1, 0, 0, 0)
    libc.syscall(number[1], b"user", b"very-secret-key", b"very-secret", 11, ctypes.c_int(-3))
secret = os.open(base / "secret", os.O_RDONLY | os.O_CREAT, 0o600)
(base / "secret").write_text("very-secret")
os.set_inheritable(secret, True)
listening = socket.socket(socket.AF_UNIX)
listening.bind("\\0" + order["run"])
listening.listen()
run = Path(order["run"])
box = Sandbox(run / "work", run / "root", limits=Limits(**order["limits"]))
box.prepare()
answer = {}
with BoundedLog(Path(order["log"]), 1 << 20) as log:
    try:
        answer["code"] = box.run(order["argv"], log)
    except Stopped as error:
        answer["stopped"] = str(error)
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class Outcome:
    """The end of a command: an exit code, or the reason why it was stopped."""

    code: int | None
    stopped: str
    output: str


@dataclass(frozen=True)
class Service:
    """A service that runs builds on this machine.

    Attributes:
        kind: ``root``, ``subordinate`` (a user with subordinate ids) or ``bare`` (one without).
        base: Its folder.
        groups: Control groups that it is in and that are delegated to it.
    """

    kind: str
    base: Path
    groups: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the sandbox."""
        return self.base / "run"

    @property
    def work(self) -> Path:
        """The work folder of the build."""
        return self.folder / "work"

    def run(self, script: str, *, shell: str = "/bin/sh", **limits: Any) -> Outcome:
        """Run a script in a sandbox."""
        log = self.base / "run.log"
        log.unlink(missing_ok=True)
        done = self.start(script, shell=shell, **limits).communicate(timeout=120)
        output = log.read_text("utf-8", "replace") if log.exists() else ""
        assert done[0].startswith("{"), done
        answer = json.loads(done[0])
        return Outcome(answer.get("code"), answer.get("stopped", ""), output)

    def python(self, script: str, **limits: Any) -> Outcome:
        """Run a Python program in a sandbox."""
        return self.run(script, shell="/usr/bin/python3", **limits)

    def start(
        self, script: str, *, shell: str = "/bin/sh", name: str = "run", **limits: Any
    ) -> subprocess.Popen[str]:
        """Start a script in a sandbox.

        Args:
            name: Name of its folder, which must be unique among concurrent scripts.
        """
        order = {
            "base": str(self.base),
            "run": str(self.base / name),
            "log": str(self.base / f"{name}.log"),
            "argv": [shell, "-c", script],
            "limits": {"seconds": 60, **limits},
        }
        return self._popen(_DRIVER, json.dumps(order))

    def call(self, program: str, *args: str) -> str:
        """Run a Python program as the service; return its output."""
        out, error = self._popen(program, *args).communicate(timeout=120)
        assert not error, error
        return out

    def _popen(self, program: str, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._prefix(), self._interpreter(), "-c", program, *args],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.base / "source")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def _interpreter(self) -> str:
        if os.geteuid() or self.kind == "root":
            return sys.executable
        # Another user may not have access to the tests' interpreter.
        python = f"/usr/bin/python{sysconfig.get_python_version()}"
        if not Path(python).exists():
            pytest.skip(f"{python} is not here, so nothing can be run as another user")
        return python

    def _prefix(self) -> list[str]:
        if os.geteuid():
            return []
        entered = " ".join(map(str, self.groups))
        stage = ["unshare", "--mount", "sh", "-c", _STAGE % GROUP, "stage", str(self.base), entered]
        groups = [f"--groups={GROUP}"]
        if self.kind != "root":
            groups += [f"--reuid={USER}", f"--regid={USER}"]
        return [*stage, "setpriv", *groups]


def service(kind: str, base: Path) -> Service:
    """Make a service of a kind, or skip the test with the reason."""
    if os.geteuid() == 0:
        for tool in ("unshare", "setpriv"):
            if not shutil.which(tool):
                pytest.skip(f"{tool} is not here, so nothing can be run as another user")
        if kind == "subordinate":
            for file in ("/etc/subuid", "/etc/subgid"):
                if not Path(file).exists():
                    pytest.skip(f"{file} is not here, so no user can have subordinate ids")
    elif kind != _own_kind():
        pytest.skip(f"these tests are run by a user for whom the sandbox is {_own_kind()}, not {kind}")
    if kind == "subordinate" and not shutil.which("newuidmap"):
        pytest.skip("newuidmap is not here: install uidmap, or shadow-utils on Fedora")
    accounts = Path("/etc/passwd").read_text("utf-8")
    (base / "passwd").write_text(f"{accounts}mbs-hostile:x:{USER}:{USER}::/:/bin/sh\n", "utf-8")
    granted = f"mbs-hostile:{_SUBORDINATE}:1000\n" if kind == "subordinate" else ""
    for name in ("subuid", "subgid"):
        (base / name).write_text(granted, "utf-8")
    for name in ("buildsys", "mbs", "scm"):
        shutil.copytree(HERE / name, base / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    made = Service(kind, base, delegated(base.name) if kind == "subordinate" else ())
    if os.geteuid() == 0 and kind != "root":
        os.chown(base, USER, USER)
    probe = made.run("true")
    if "unshare" in probe.output and probe.code == 125:
        pytest.skip(f"the kernel gives users no namespaces: {probe.output.strip()}")
    assert probe.code == 0, probe
    return made


def delegated(name: str) -> tuple[Path, ...]:
    """Make control groups that belong to the service's user, if root can."""
    from buildsys.local import cgroups

    place = cgroups.place() if os.geteuid() == 0 else None
    groups = tuple(folder / name for folder in place.folders) if place else ()
    for group in groups:
        group.mkdir()
        for path in (group, *group.glob("cgroup.*")):
            os.chown(path, USER, USER)
    return groups


def undelegate(service: Service) -> None:
    """Remove these groups, which must have no processes."""
    for group in service.groups:
        for folder in (*group.glob("*/"), group):
            folder.rmdir()


def _own_kind() -> str:
    from buildsys.local import identities

    return identities.means().mode
