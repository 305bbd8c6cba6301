"""Permissions of a command in the sandbox, started by root and by an ordinary user."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildsys.local.check import check
from buildsys.local.sandbox import BoundedLog, Limits, Sandbox, Stopped, remove_tree
from tests.processes import processes

NOBODY = 65534
#: In the command lines of builds, to find them; other test runs on this machine have others.
LEFT, STOPPED = f"86423.{os.getpid()}", f"86424.{os.getpid()}"
HERE = Path(__file__).resolve().parents[3]


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="mbs-sandbox-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    remove_tree(folder)


def run(base: Path, script: str, view: Path | None = None, **options: object) -> tuple[int, str]:
    """Run a script in a fresh sandbox; answers exit code and output."""
    sandbox = Sandbox(base / "work", base / "root", view=view, limits=Limits(seconds=30))
    sandbox.prepare()
    log = base / "log"
    log.unlink(missing_ok=True)
    with BoundedLog(log, 1 << 20) as output:
        code = sandbox.run(["/bin/sh", "-c", script], output, **options)
    return code, log.read_text("utf-8", "replace")


def environment(base: Path) -> dict[str, str]:
    """In which anybody can import the sandbox: the checkout itself may be out of reach."""
    for name in ("buildsys", "mbs", "scm"):
        if not (base / "source" / name).exists():
            shutil.copytree(HERE / name, base / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(base / "source"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run_as_nobody(base: Path, script: str, view: Path | None = None) -> tuple[int, str]:
    """The same without privileges, with the system's Python: the tests' own may be out of reach."""
    if os.geteuid() != 0:
        return run(base, script, view)
    python = f"/usr/bin/python{sysconfig.get_python_version()}"
    if not Path(python).exists() or not shutil.which("setpriv"):
        pytest.skip(f"{python} or setpriv is not here, so nothing can be run as another user")
    program = (
        "import sys; from pathlib import Path; from buildsys.local.sandbox import *\n"
        "base, script, view = Path(sys.argv[1]), sys.argv[2], sys.argv[3]\n"
        "box = Sandbox(base / 'work', base / 'root', view=Path(view) if view else None)\n"
        "box.prepare()\n"
        "with BoundedLog(base / 'log', 1 << 20) as log: code = box.run(['/bin/sh', '-c', script], log)\n"
        "print((base / 'log').read_text()); sys.exit(code)\n"
    )
    os.chown(base, NOBODY, NOBODY)
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = subprocess.run(
        [*user, python, "-c", program, str(base), script, str(view or "")],
        env=environment(base),
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        check=False,
    )
    if "unshare" in done.stdout and done.returncode == 125:
        pytest.skip(f"the kernel gives users no namespaces: {done.stdout.strip()}")
    return done.returncode, done.stdout + done.stderr


RUNNERS = pytest.mark.parametrize("runner", [run, run_as_nobody], ids=["service", "rootless"])


@RUNNERS
def test_only_the_work_folder_can_be_written(base: Path, runner) -> None:
    places = "/ /usr /usr/local /etc /opt /var /dev /proc/sys/kernel /home /root /run /srv"
    script = (
        f"touch ok /tmp/ok; for d in {places}; do"
        " touch $d/mbs-escape 2>/dev/null && echo WROTE $d; done; true"
    )
    code, output = runner(base, script)
    assert code == 0
    assert "WROTE" not in output
    assert sorted(path.name for path in (base / "work").rglob("*")) == ["ok", "ok", "tmp"]


@RUNNERS
def test_mounts_cannot_be_undone(base: Path, runner) -> None:
    script = (
        "for how in '' 'unshare -Urm'; do"
        " $how mount -o remount,rw,bind /usr && echo UNDONE; $how umount -l /etc && echo UNDONE;"
        " $how umount /usr && echo UNDONE; done 2>/dev/null;"
        " unshare -Urm touch /usr/x 2>/dev/null && echo UNDONE; true"
    )
    code, output = runner(base, script)
    assert (code, output.strip()) == (0, "")


@RUNNERS
def test_nothing_of_the_service_is_visible(base: Path, runner) -> None:
    (base / "secret").write_text("x")
    script = f"cat {base}/secret /etc/shadow /proc/1/environ; ls /root /home /run /var/lib; env; ls /proc"
    _, output = runner(base, script)
    assert output.count("No such file") == 7
    assert "PYTHON" not in output
    assert str(os.getpid()) not in output.split()


@RUNNERS
def test_there_is_no_network_not_even_loopback(base: Path, runner) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        script = (
            f"bash -c 'echo > /dev/tcp/127.0.0.1/{server.server_port}' && echo REACHED; cat /proc/net/route"
        )
        _, output = runner(base, script)
    finally:
        server.shutdown()
        server.server_close()
    assert "unreachable" in output
    assert "REACHED" not in output
    assert not [line for line in output.splitlines() if line.startswith(("eth", "en", "lo"))]


@RUNNERS
def test_a_view_is_laid_over_the_host(base: Path, runner) -> None:
    view = base / "view"
    (view / "usr" / "share" / "mbs-view").mkdir(parents=True)
    (view / "usr" / "share" / "mbs-view" / "x").write_text("seen\n")
    (view / "srv" / "app").mkdir(parents=True)
    (view / "leak").symlink_to("/home")
    (view / "etc").symlink_to("/root")
    code, output = runner(base, "cat /usr/share/mbs-view/x; ls /srv /usr/bin/env /etc/passwd; ls /leak", view)
    assert output.startswith("seen\n")
    assert "app\n" in output
    assert "/usr/bin/env\n" in output
    assert "/etc/passwd\n" in output
    assert "cannot access '/leak'" in output
    assert code != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can chroot")
def test_it_works_in_a_plain_chroot(base: Path) -> None:
    """Its root is no mount point, which pivot_root(2) needs."""
    stage = """
set -e
mount --make-rprivate /
mkdir "$1/tree"
cd /
for name in *; do
    if [ -L "$name" ]; then
        cp -P "$name" "$1/tree/$name"
    elif [ -d "$name" ]; then
        mkdir "$1/tree/$name"
        mount --rbind "/$name" "$1/tree/$name"
    fi
done
exec chroot "$1/tree" "$2" -c "$3"
"""
    program = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from pathlib import Path; from buildsys.local.sandbox import *\n"
        "base = Path('/base'); base.mkdir()\n"
        "box = Sandbox(base / 'work', base / 'root')\n"
        "box.prepare()\n"
        "with BoundedLog(base / 'log', 1 << 20) as log: code = box.run(['ls', '-A', '/'], log)\n"
        "print((base / 'log').read_text()); sys.exit(code)\n"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", stage, "stage", str(base), sys.executable, program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert "builddir" in done.stdout
    assert "root" not in done.stdout.split()


def test_a_work_folder_that_was_tampered_with_is_not_followed(base: Path) -> None:
    sandbox = Sandbox(base / "work", base / "root")
    sandbox.prepare()
    (base / "outside").mkdir(mode=0o777)
    (base / "outside").chmod(0o777)
    (base / "work" / "tmp").rmdir()
    (base / "work" / "tmp").symlink_to(base / "outside")
    with BoundedLog(base / "log", 1 << 20) as log:
        assert sandbox.run(["touch", "/tmp/escaped"], log) == 125
    assert not list((base / "outside").iterdir())


def test_everything_ends_with_the_command(base: Path) -> None:
    began = time.monotonic()
    code, _ = run(base, f"sleep {LEFT} & setsid sleep {LEFT} & exit 7")
    assert code == 7
    assert time.monotonic() - began < 10
    assert not processes(LEFT)


def test_the_signal_that_killed_a_command_is_named(base: Path) -> None:
    assert run(base, "kill -9 $$")[0] == 137


def test_stop_ends_the_command(base: Path) -> None:
    with pytest.raises(Stopped, match="enough"):
        run(base, f"sleep {STOPPED}", stop=lambda: "enough")
    assert not processes(STOPPED)


def test_a_missing_program_is_named(base: Path) -> None:
    sandbox = Sandbox(base / "work", base / "root")
    sandbox.prepare()
    with BoundedLog(base / "log", 1 << 20) as log:
        assert sandbox.run(["mbs-no-such-program"], log) == 125
    assert "mbs-no-such-program" in (base / "log").read_text() or "No such file" in (base / "log").read_text()


def test_folders_without_permissions_are_removed(base: Path) -> None:
    folder = base / "stubborn"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").touch()
    (folder / "a" / "link").symlink_to(base)
    (folder / "a" / "b").chmod(0)
    (folder / "a").chmod(0)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(base)], check=True)
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    else:
        user = []
    program = (
        f"from pathlib import Path; from buildsys.local.sandbox import *; remove_tree(Path({str(folder)!r}))"
    )
    python = "/usr/bin/python3" if user else sys.executable
    subprocess.run([*user, python, "-c", program], env=environment(base), check=True, timeout=30, cwd="/")
    assert not folder.exists()
    assert base.exists()


def test_this_machine_has_all_programs(tmp_path: Path) -> None:
    assert check(tmp_path) == []


def test_missing_packages_are_named_with_the_command_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    problems = [problem for problem in check(tmp_path) if problem.code == "command_missing"]
    assert "The command rpmbuild is not installed." in [problem.message for problem in problems]
    assert all("install" in problem.hint and "createrepo" in problem.hint for problem in problems)
