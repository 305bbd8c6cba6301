"""The program that isolates one command; ``buildsys.local.sandbox`` starts it.

It uses only the standard library, so that it starts within milliseconds. It consists of three processes:

``launcher``  makes the namespaces and dies with the worker that started it (PR_SET_PDEATHSIG). It keeps the
              host's file system. While the command runs it measures the work folder; afterwards it returns
              the folder to the service's user.
``pid 1``     of the new PID namespace makes the root file system. It dies with the launcher, and the kernel
              then kills all other processes of the namespace.
``command``   is the build itself, without privileges. It can only write to its work folder.

The command's user depends on the user of the service (``spec["mode"]``):

``range``        Root makes the mounts, and the command runs as a user of its own, without a user namespace.
``subordinate``  A user with subordinate ids (subuid(5)): the mounts are made as root of a user namespace, in
                 which the service's user is root and a subordinate id is the command's user.
``bare``         Any other user: the same, but the command runs as the service's user, under another id and
                 without privileges, in a second user namespace.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import warnings  # noqa: F401 - Python 3.13 imports it late, when the root folder has changed
from contextlib import suppress
from typing import Any, NoReturn

from buildsys.local import kernel, rootfs, trees

#: Exit code if the command was not started.
SETUP_FAILED = 125
#: Seconds between two measurements of the work folder, or this multiple of the duration of one if that is
#: more.
_MEASURE_EVERY, _MEASURE_SHARE = 1.0, 10
_NAMESPACES = (
    kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


class _Channel:
    """The socket to the service, which is standard input at the start. Each message is a line of JSON."""

    def __init__(self) -> None:
        self._socket = os.dup(0)
        empty = os.open("/dev/null", os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)

    def receive(self) -> Any:
        """Return the next message."""
        line = b""
        while not line.endswith(b"\n"):
            data = os.read(self._socket, 1 << 16)
            if not data:
                # The service has died.
                os._exit(SETUP_FAILED)
            line += data
        return json.loads(line)

    def send(self, **message: str) -> None:
        """Send a message."""
        with suppress(OSError):
            os.write(self._socket, json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """Close the socket."""
        os.close(self._socket)


def _map_user(inside: int, user: int, group: int) -> None:
    """In a new user namespace, map the id ``inside`` to ``user`` and ``group`` outside."""
    for path, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {user} 1"),
        ("gid_map", f"{inside} {group} 1"),
    ):
        with open(f"/proc/self/{path}", "w", encoding="utf-8") as file:
            file.write(text)


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, name)
        most = resource.getrlimit(number)[1]
        if most != resource.RLIM_INFINITY:
            value = min(value, most)
        resource.setrlimit(number, (value, value))
    # If memory is short, the kernel kills builds first.
    with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
        file.write("1000")


def _drop_privileges(spec: dict[str, Any]) -> None:
    if spec["mode"] == "bare":
        user, group = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER)
        _map_user(spec["inside"][0], user, group)
        kernel.drop_bounding_set()
    else:
        kernel.drop_bounding_set()
        user, group = spec["inside"]
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    kernel.drop_capabilities()
    kernel.forbid_new_privileges()
    if spec["filter"]:
        kernel.filter_system_calls(bytes.fromhex(spec["filter"]))


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _give_up(channel: _Channel, error: BaseException) -> NoReturn:
    """Report the error to the service. The log of the build only gets the kernel's message."""
    channel.send(error=f"{type(error).__name__}: {error}")
    public = str(error) if isinstance(error, kernel.KernelError) else getattr(error, "strerror", "")
    sys.stderr.write(f"sandbox: the build could not be isolated ({public or type(error).__name__})\n")
    sys.stderr.flush()
    os._exit(SETUP_FAILED)


def _execute(spec: dict[str, Any]) -> NoReturn:
    """Drop privileges and execute the command."""
    os.setsid()
    _limit(spec["limits"])
    _drop_privileges(spec)
    try:
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        sys.stderr.write(f"sandbox: {spec['argv'][0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(SETUP_FAILED)


def _be_first(spec: dict[str, Any], lifeline: int, channel: _Channel) -> NoReturn:
    """Run as pid 1: set up, start the command, and reap orphans until the command ends."""
    kernel.die_with_parent(signal.SIGKILL)
    # If the launcher died before the line above, its end of this pipe is closed.
    os.set_blocking(lifeline, False)
    try:
        os.read(lifeline, 1)
        os._exit(SETUP_FAILED)
    except BlockingIOError:
        pass
    kernel.unshare(kernel.CLONE_NEWNS)
    rootfs.make(spec)
    command = os.fork()
    if command == 0:
        _execute(spec)
    kernel.drop_capabilities()
    channel.close()
    while True:
        pid, status = os.wait()
        if pid == command:
            os._exit(_exit_code(status))


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)


def _await(first: int, process: int, work: int, spec: dict[str, Any]) -> tuple[int, str]:
    """Wait for the end of pid 1, and kill it if the work folder becomes too large.

    Args:
        process: File descriptor of pid 1.

    Returns:
        The exit code, and why pid 1 was killed.
    """
    reason = ""
    ended = select.poll()
    ended.register(process, select.POLLIN)
    pause = _MEASURE_EVERY
    while not ended.poll(pause * 1000):
        began = time.monotonic()
        reason = reason or _too_much(first, work, spec)
        if reason:
            _kill(process)
        pause = max(_MEASURE_EVERY, _MEASURE_SHARE * (time.monotonic() - began))
    return _exit_code(os.waitpid(first, 0)[1]), reason


def _too_much(first: int, work: int, spec: dict[str, Any]) -> str:
    processes = None
    with suppress(OSError):
        # The root of pid 1 contains the /proc of its namespace.
        processes = os.open(f"/proc/{first}/root/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        used, files = trees.measure(work, spec["files"], processes)
    finally:
        if processes is not None:
            os.close(processes)
    if files > spec["files"]:
        return f"it created more than {spec['files']} files"
    if used > spec["disk"]:
        return f"it used more than {spec['disk'] >> 20} MiB of disk space"
    return ""


def _launch(spec: dict[str, Any], channel: _Channel) -> NoReturn:
    user, group = os.getuid(), os.getgid()
    kernel.unshare(_NAMESPACES | (0 if spec["mode"] == "range" else kernel.CLONE_NEWUSER))
    if spec["mode"] == "subordinate":
        channel.send(wants="ids")
        channel.receive()
        os.setgroups([])
    elif spec["mode"] == "bare":
        _map_user(0, user, group)
    if "remove" in spec:
        trees.remove(spec["remove"])
        os._exit(0)
    kernel.leave_session_keyring()
    kernel.set_host_name("localhost")
    # The pipe to the service: programs open /dev/stdout and /dev/stderr by name.
    os.fchmod(1, 0o622)
    work = os.open(spec["work"], trees.FOLDER)
    if spec["mode"] != "bare":
        trees.give(work, *spec["inside"])
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(writing)
        os.close(work)
        _be_first(spec, reading, channel)
    # When stopped, end only after all processes of the build: the kernel lets pid 1 of a PID namespace be
    # reaped when all others are dead.
    process = os.pidfd_open(first)
    signal.signal(signal.SIGTERM, lambda *_: _kill(process))
    os.close(reading)
    code, reason = _await(first, process, work, spec)
    trees.give(work, os.getuid(), os.getgid())
    channel.send(stopped=reason)
    os._exit(code)


def main() -> NoReturn:
    """Isolate a command as the message on standard input says; exit with its exit code."""
    os.umask(0o022)
    kernel.die_with_parent(signal.SIGKILL)
    channel = _Channel()
    # Also in the processes below: a traceback would show paths of the host in the build's log.
    sys.excepthook = lambda kind, error, trace: _give_up(channel, error)
    spec = channel.receive()
    if os.getppid() != spec["parent"]:
        os._exit(SETUP_FAILED)
    # Below the new root, imports would load the build's own files.
    sys.path.clear()
    sys.meta_path.clear()
    _launch(spec, channel)
