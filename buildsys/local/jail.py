"""The program that shuts one command in; ``buildsys.local.sandbox`` starts it.

It uses nothing but the standard library, so that it starts in milliseconds. Three processes come of it:

``launcher``  makes the namespaces; dies with the worker that started it (PR_SET_PDEATHSIG). While the
              command runs it measures what the work folder takes up; afterwards it gives the folder back to
              the service. It keeps the host's file system.
``pid 1``     of the new PID namespace; dies with the launcher, and when it dies the kernel kills all others.
              It makes the root file system.
``command``   the build itself, without privileges, with nothing to write to but its work folder.

How the command gets its user depends on who starts the service (``spec["mode"]``):

``range``        root: root makes the mounts, the command becomes a user of its own. No user namespace.
``subordinate``  somebody with subordinate ids (subuid(5)): the mounts are made as root of a user namespace,
                 in which the service's own user is root and one subordinate id is the command's user.
``bare``         anybody else: the same, but the command keeps the service's own user, under another number,
                 in a second user namespace inside, in which it is nobody special.
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

#: Exit code that says that the command was never started.
SETUP_FAILED = 125
#: Seconds between two looks at what the work folder takes up; more where one look takes long.
_MEASURE_EVERY, _MEASURE_SHARE = 1.0, 10
_NAMESPACES = (
    kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


class _Channel:
    """The socket to the service, which is standard input at the start. Each message is one line of JSON."""

    def __init__(self) -> None:
        self._socket = os.dup(0)
        empty = os.open("/dev/null", os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)

    def receive(self) -> Any:
        line = b""
        while not line.endswith(b"\n"):
            data = os.read(self._socket, 1 << 16)
            if not data:
                os._exit(SETUP_FAILED)  # the service has died
            line += data
        return json.loads(line)

    def send(self, **message: str) -> None:
        with suppress(OSError):
            os.write(self._socket, json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        os.close(self._socket)


def _map_user(inside: int, user: int, group: int) -> None:
    """In a fresh user namespace: be ``inside``, known outside as ``user``."""
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
    # When memory is short the kernel takes a build before anything else.
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
    """Tell the service what happened, and whoever reads the log no more than what the kernel refused."""
    channel.send(error=f"{type(error).__name__}: {error}")
    public = str(error) if isinstance(error, kernel.KernelError) else getattr(error, "strerror", "")
    sys.stderr.write(f"sandbox: the build could not be shut in ({public or type(error).__name__})\n")
    sys.stderr.flush()
    os._exit(SETUP_FAILED)


def _execute(spec: dict[str, Any]) -> NoReturn:
    """What the command does until it is the command."""
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
    """What pid 1 does: set up, start the command, collect orphans until the command ends."""
    kernel.die_with_parent(signal.SIGKILL)
    # The launcher may have died before the line above; then its end of this pipe is closed.
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
    """Wait for the end of pid 1, and bring it about when the work folder takes up too much.

    Args:
        process: File descriptor of pid 1.

    Returns:
        The exit code, and why it was ended.
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
        # Through the root of pid 1: there lies the /proc of its namespace.
        processes = os.open(f"/proc/{first}/root/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        used, files = trees.measure(work, spec["files"], processes)
    finally:
        if processes is not None:
            os.close(processes)
    if files > spec["files"]:
        return f"it made more than {spec['files']} files"
    if used > spec["disk"]:
        return f"it took up more than {spec['disk'] >> 20} MiB of disk"
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
    work = os.open(spec["work"], trees.FOLDER)
    if spec["mode"] != "bare":
        trees.give(work, *spec["inside"])
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(writing)
        os.close(work)
        _be_first(spec, reading, channel)
    # To be stopped means to end only when nothing of the build is left: the kernel lets the first process
    # of a PID namespace be waited for when all others are dead.
    process = os.pidfd_open(first)
    signal.signal(signal.SIGTERM, lambda *_: _kill(process))
    os.close(reading)
    code, reason = _await(first, process, work, spec)
    trees.give(work, os.getuid(), os.getgid())
    channel.send(stopped=reason)
    os._exit(code)


def main() -> NoReturn:
    """Shut a command in as the service says on standard input; exit as the command does."""
    os.umask(0o022)
    kernel.die_with_parent(signal.SIGKILL)
    channel = _Channel()
    # Also below: a trace would show paths of the host to whoever reads the log of the build.
    sys.excepthook = lambda kind, error, trace: _give_up(channel, error)
    spec = channel.receive()
    if os.getppid() != spec["parent"]:
        os._exit(SETUP_FAILED)
    # Below the new root, modules would be the build's own.
    sys.path.clear()
    sys.meta_path.clear()
    _launch(spec, channel)
