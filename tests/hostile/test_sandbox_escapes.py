"""Builds that look for secrets of the service, for privileges, and for a way out of the sandbox."""

from __future__ import annotations

import os
import platform
import stat

import pytest

from tests.hostile.services import Service
from tests.processes import processes, wait_for

SYSCALLS = {"x86_64": (56, 435, 250, 425), "aarch64": (220, 435, 219, 425)}


def test_a_configuration_file_is_not_read_through_a_group_of_the_service(everyone: Service) -> None:
    outcome = everyone.run("cat /etc/opt/config.py; grep -rl very-secret /etc 2>/dev/null; id -G; true")
    assert "very-secret\n" not in outcome.output
    assert "/etc/" not in outcome.output.replace("/etc/opt/config.py: No such file", "")


def test_a_build_with_a_user_of_its_own_has_no_group_of_the_service(protected: Service) -> None:
    outcome = protected.run("id -G; grep Groups: /proc/self/status")
    assert len(outcome.output.split("Groups:")[0].split()) == 1
    assert not outcome.output.split("Groups:")[1].split()


def test_more_of_the_machine_is_shown_only_where_an_option_names_it(everyone: Service) -> None:
    script = "ls -d /etc/opt /srv; ls /etc/opt; touch /srv/x /etc/opt/x; cat /etc/opt/config.py"
    assert "config.py\n" not in everyone.run(script).output
    outcome = everyone.run(script, shows=["/etc/opt", "/srv", "/not/there"])
    # Only root can put a file there for the test.
    there = "config.py\n" if os.geteuid() == 0 else ""
    assert outcome.output.startswith(f"/etc/opt\n/srv\n{there}")
    assert outcome.output.count("Read-only file system") == 2
    if everyone.kind != "bare":  # it keeps the groups of the service
        assert "very-secret" not in outcome.output


def test_accounts_and_private_files_of_the_machine_are_not_shown(everyone: Service) -> None:
    outcome = everyone.run("cat /etc/passwd; ls -A /etc/ssl /etc/pki 2>/dev/null; ls -A / /etc")
    assert "mbs-hostile" not in outcome.output
    hidden = {"shadow", "subuid", "private", "ssh", "passwd-", "home", "root", "run", "opt", "sys"}
    assert not hidden & set(outcome.output.split())


def test_no_variable_descriptor_or_argument_of_the_service_is_seen(everyone: Service) -> None:
    script = (
        "env; for fd in 3 4 5 6 7 8 9; do cat <&$fd; done; cat /proc/*/environ | tr '\\0' '\\n';"
        " cat /proc/*/cmdline | tr '\\0' ' '; ls /proc/self/fd"
    )
    outcome = everyone.run(f"({script}) 2>/dev/null")
    assert "very-secret" not in outcome.output
    assert "MBS_" not in outcome.output
    assert str(everyone.base) not in outcome.output
    assert "jail" not in outcome.output


def test_a_key_of_the_session_is_not_found(everyone: Service) -> None:
    if platform.machine() not in SYSCALLS:
        pytest.skip("the number of keyctl is not known here")
    program = f"""
import ctypes
libc, buffer = ctypes.CDLL(None), ctypes.create_string_buffer(64)
key = libc.syscall({SYSCALLS[platform.machine()][2]}, 10, ctypes.c_int(-3), b"user", b"very-secret-key", 0)
libc.syscall({SYSCALLS[platform.machine()][2]}, 11, key, buffer, 64)
print(key, buffer.value, open("/proc/keys").read())
"""
    outcome = everyone.python(program)
    assert outcome.code == 0
    assert outcome.output.startswith("-1 b''")
    assert "very-secret" not in outcome.output


def test_a_socket_of_the_service_is_not_reached(everyone: Service) -> None:
    program = f"""
import socket
for family, address in (socket.AF_UNIX, "\\0{everyone.folder}"), (socket.AF_INET, ("127.0.0.1", 22)):
    try:
        socket.socket(family).connect(address)
        print("REACHED", address)
    except OSError as error:
        print(error.errno)
"""
    assert everyone.python(program).output.split() == ["111", "101"]


def test_there_is_no_terminal(everyone: Service) -> None:
    program = """
import fcntl, os, pty
try:
    os.open("/dev/tty", os.O_RDWR)
except OSError as error:
    print(error.errno)
try:
    fcntl.ioctl(0, 0x5412, b"x")  # TIOCSTI
except OSError as error:
    print(error.errno)
print(os.getsid(0) == os.getpid())
"""
    assert everyone.python(program).output.split() == ["6", "1", "True"]


def test_nothing_gives_capabilities(everyone: Service) -> None:
    outcome = everyone.run("cat /proc/self/status")
    status = dict(line.split(":\t", 1) for line in outcome.output.splitlines() if ":\t" in line)
    assert {status[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_a_build_makes_no_user_namespace_and_threads_still_work(everyone: Service) -> None:
    clone, clone3, _, _ = SYSCALLS[platform.machine()]
    program = f"""
import ctypes, os, threading
libc = ctypes.CDLL(None, use_errno=True)
def tried(number, *args):
    child = libc.syscall(number, *args)
    if child == 0:
        os._exit(0)
    print(child, ctypes.get_errno())
tried({clone}, 0x10000000 | 17, 0, 0, 0, 0)
tried({clone3}, (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17), 64)
print(libc.unshare(0x10000000), ctypes.get_errno())
thread = threading.Thread(target=print, args=("thread",))
thread.start()
thread.join()
"""
    assert everyone.python(program).output.split() == ["-1", "1", "-1", "38", "-1", "1", "thread"]


def test_sockets_are_allowed_by_family(everyone: Service) -> None:
    program = """
import socket
def tried(*args):
    try:
        socket.socket(*args).close()
        return "ok"
    except OSError as error:
        return str(error.errno)
print(*(tried(family) for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)))
print(tried(socket.AF_NETLINK, socket.SOCK_RAW, 0))
print(tried(socket.AF_NETLINK, socket.SOCK_RAW, 12))
print(*(tried(family, socket.SOCK_SEQPACKET) for family in (38, 40, 17, 31)))
"""
    lines = everyone.python(program).output.splitlines()
    assert lines == ["ok ok ok", "ok", "97", "97 97 97 97"]


def test_pairs_of_sockets_and_protocols_are_allowed_by_name_too(everyone: Service) -> None:
    # The kernel loads modules for other families and protocols. Raw sockets of any protocol need privileges.
    program = """
import socket
def pair(family):
    try:
        [each.close() for each in socket.socketpair(family, socket.SOCK_DGRAM)]
        return "ok"
    except OSError as error:
        return str(error.errno)
def protocol(number):
    found = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            try:
                socket.socket(family, kind, number).close()
                found.add(0)
            except OSError as error:
                found.add(error.errno)
    return str(found)
print(*map(pair, (1, 2, 16, 17, 30, 38, 40, 44)))
print(*map(protocol, (33, 115, 132, 136, 262)))
"""
    first, second = everyone.python(program).output.splitlines()
    assert first == "ok 97 97 97 97 97 97 97"
    assert second == "{93} {93} {93} {93} {93}"


def test_programs_can_open_their_output_by_name(everyone: Service) -> None:
    outcome = everyone.run("echo one > /dev/stdout; echo two > /dev/stderr")
    assert outcome.output.split() == ["one", "two"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has other ABIs beside its own")
def test_system_calls_of_other_abis_are_refused(everyone: Service) -> None:
    source = """
#include <stdio.h>
int main(void) {
    long i386, x32;
    __asm__ volatile ("int $0x80" : "=a"(i386) : "0"(20) : "memory");
    __asm__ volatile ("syscall" : "=a"(x32) : "0"(0x40000000 + 39) : "rcx", "r11", "memory");
    printf("%d %d\\n", (int) i386, (int) x32);
    return 0;
}
"""
    outcome = everyone.run(f"cat > x.c <<'END'\n{source}\nEND\ngcc -o x x.c && ./x")
    assert outcome.output == "-38 -38\n"


def test_other_calls_that_only_attacks_need_are_refused(everyone: Service) -> None:
    uring = SYSCALLS[platform.machine()][3]
    outcome = everyone.python(
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True);"
        f" print(libc.syscall({uring}, 1, 0), ctypes.get_errno())"
    )
    assert outcome.output.split() == ["-1", "38"]


def test_devices_cannot_be_made(everyone: Service) -> None:
    outcome = everyone.run("mknod disk b 254 0; mknod zero c 1 5; ls; test ! -e disk -a ! -e zero")
    assert outcome.code == 0


def test_nothing_but_plain_files_survives_a_build(everyone: Service) -> None:
    script = (
        "cp /usr/bin/id id; chmod 6755 id; mkdir -p d/e; chmod 2777 d; mkfifo d/pipe; chmod 7777 .;"
        " ln -s /etc/shadow link; ln id d/hard; chmod 0 d/e;"
        " python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"d/socket\")';"
        " test -u id -a -p d/pipe -a -S d/socket"
    )
    outcome = everyone.run(script)
    assert outcome.code == 0, outcome
    owner = everyone.base.stat().st_uid if everyone.kind != "root" else 0
    paths = list(everyone.work.rglob("*"))
    assert {str(path.relative_to(everyone.work)) for path in paths} == {
        "id", "d", "d/e", "d/hard", "link", "tmp",
    }  # fmt: skip
    for path in (everyone.work, *paths):
        found = path.lstat()
        assert found.st_uid == owner, path
        assert found.st_mode & 0o7000 == 0 or stat.S_ISLNK(found.st_mode), path


def test_others_cannot_reach_what_a_build_makes_while_it_runs(everyone: Service) -> None:
    outcome = everyone.run("cp /usr/bin/id id; chmod 777 .; chmod 4755 id; ls -ld /builddir")
    assert outcome.output.startswith("drwxrwxrwx")
    above = everyone.work.parent.stat()
    assert stat.S_IMODE(above.st_mode) == 0o700
    assert above.st_uid == (0 if everyone.kind == "root" else everyone.base.stat().st_uid)


def test_no_two_builds_at_once_have_the_same_user(protected: Service) -> None:
    program = (
        "from buildsys.local.identities import taken\n"
        "with taken() as one, taken() as two: print(one.user, two.user, one.name, two.name)"
    )
    one, two, first, second = protected.call(program).split()
    assert len({one, two}) == len({first, second}) == 2
    assert str(os.getuid()) not in (one, two)


def test_failures_of_the_sandbox_name_no_path_of_the_host(everyone: Service) -> None:
    program = """
import logging, sys
from pathlib import Path
from buildsys.local.sandbox import BoundedLog, Sandbox
logging.disable()
base = Path(sys.argv[1])
box = Sandbox(base / "run" / "work", base / "run" / "root", readonly={"/input": base / "not-there"})
box.prepare()
with BoundedLog(base / "log2", 1 << 20) as log:
    print(box.run(["true"], log), (base / "log2").read_text())
"""
    code, said = everyone.call(program, str(everyone.base)).split(maxsplit=1)
    assert code == "125"
    assert "could not be isolated (No such file or directory)" in said
    assert str(everyone.base) not in said


def test_leftovers_of_a_killed_worker_can_be_removed(everyone: Service) -> None:
    # Other tests of this kind may run at the same time.
    mark = f"86460.{os.getpid()}"
    script = f"mkdir -p a/b; touch a/b/c; chmod 0 a/b a; sleep {mark}"
    process = everyone.start(script)
    wait_for(lambda: any(line.startswith("sleep") for line in processes(mark)))
    process.kill()
    process.wait()
    assert process.stdout
    assert process.stderr
    wait_for(lambda: not processes(mark))
    process.stdout.close()
    process.stderr.close()
    removing = (
        "import sys, time; from pathlib import Path; from buildsys.local.sandbox import remove_tree\n"
        "ends = time.monotonic() + 20\n"
        "while True:\n"
        "    try:\n"
        "        remove_tree(Path(sys.argv[1]))\n"
        "        break\n"
        "    except OSError:  # the kernel may still be ending the build\n"
        "        assert time.monotonic() < ends\n"
    )
    everyone.call(removing, str(everyone.work))
    assert not everyone.work.exists()
