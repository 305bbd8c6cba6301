"""The program that shuts one command in; ``buildsys.local.sandbox`` starts it, nobody imports it.

It uses nothing but the standard library, so that it starts in milliseconds. Three processes come of it:

``launcher``  makes the namespaces; dies with the worker that started it (PR_SET_PDEATHSIG).
``pid 1``     of the new PID namespace; dies with the launcher, and when it dies the kernel kills all others.
``command``   the build itself, without privileges, with nothing to write to but its work folder.

Started by root it needs no user namespace: root makes the mounts, the command becomes ``user``. Started by
anybody else it makes the mounts as root of a user namespace, and the command gets a second one inside,
in which it is nobody special: it cannot undo a mount either way.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any, NoReturn

#: Exit code that says that the command was never started.
SETUP_FAILED = 125
#: What of the host's root a build sees, read-only; nothing of /home, /root, /run, /srv and /var.
SHOWN = ("usr", "etc", "opt", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: object) -> None:
    """Call a function of the C library; raises OSError naming the call."""
    if getattr(_libc, name)(*args) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{args}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    _call("mount", *(os.fsencode(text) for text in (source, target, kind)), flags, os.fsencode(data))


def _protect(path: str, *, writable: bool = False, recursive: bool = True) -> None:
    """Add nosuid, nodev and (unless ``writable``) read-only to a mount, keeping the flags it has."""
    attributes = _ATTR_NOSUID | _ATTR_NODEV | (0 if writable else _ATTR_RDONLY)
    value = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    how = _AT_RECURSIVE if recursive else 0
    _call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), how, ctypes.byref(value), 32)


def _bind(source: str, target: str, *, writable: bool = False) -> None:
    os.makedirs(target, exist_ok=True)
    _mount(source, target, flags=_MS_BIND | _MS_REC)
    _protect(target, writable=writable)


def _show(name: str, view: str) -> None:
    """Show /name of the host, with what the view holds of it laid over."""
    host, over = f"/{name}", f"{view}/{name}" if view else ""
    if name in SHOWN and os.path.islink(host):
        os.symlink(os.readlink(host), name)
        return
    # A package may have put a symbolic link there: following it would show any folder of the host.
    layers = [over] if over and os.path.isdir(over) and not os.path.islink(over) else []
    layers += [host] if name in SHOWN and os.path.isdir(host) else []
    if len(layers) == 1:
        _bind(layers[0], name)
    elif layers:
        os.mkdir(name)
        _mount("overlay", name, "overlay", _MS_NOSUID | _MS_NODEV, "lowerdir=" + ":".join(layers))
        _protect(name)


def _make_root(spec: dict[str, Any]) -> None:
    """Put together the file system that the command sees, and change into it."""
    _mount("", "/", flags=_MS_REC | _MS_PRIVATE)
    # Held open before a mount can hide them, and without following what an earlier command left there.
    folder = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
    work = os.open(spec["work"], folder)
    temporary = os.open("tmp", folder, dir_fd=work)
    _mount("tmpfs", spec["mountpoint"], "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=1m")
    os.chdir(spec["mountpoint"])
    view = ""
    if spec["view"]:
        # A short relative name: an absolute one may hold the characters that overlayfs gives a meaning to.
        view = ".view"
        _bind(spec["view"], view)
    inside = {"proc", "dev", "tmp", "builddir"}
    names = {*SHOWN, *(os.listdir(view) if view else ())} - inside
    for name in sorted(names):
        _show(name, view)
    _bind(f"/proc/self/fd/{work}", "builddir", writable=True)
    _bind(f"/proc/self/fd/{temporary}", "tmp", writable=True)
    if not os.path.lexists("var"):
        _bind(f"/proc/self/fd/{temporary}", "var/tmp", writable=True)
    for target, source in spec["readonly"].items():
        _bind(source, target.lstrip("/"))
    os.mkdir("proc")
    _mount("proc", "proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    os.mkdir("dev")
    for device in DEVICES:
        with open(f"dev/{device}", "wb"):
            _mount(f"/dev/{device}", f"dev/{device}", flags=_MS_BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"dev/{name}")
    os.mkdir("dev/shm")
    _mount("tmpfs", "dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777,size=256m")
    if view:
        _call("umount2", view.encode(), _MNT_DETACH)
        os.rmdir(view)
    _protect(".", recursive=False)
    os.close(work)
    os.close(temporary)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/builddir")


def _map_user(inside: int, user: int, group: int) -> None:
    """In a fresh user namespace: be ``inside``, known outside as ``user``."""
    for path, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {user} 1"),
        ("gid_map", f"{inside} {group} 1"),
    ):
        with open(f"/proc/self/{path}", "w", encoding="ascii") as file:
            file.write(text)


def _drop_privileges(spec: dict[str, Any]) -> None:
    for name, value in spec["limits"].items():
        number = getattr(resource, name)
        most = resource.getrlimit(number)[1]
        if most != resource.RLIM_INFINITY:
            value = min(value, most)
        resource.setrlimit(number, (value, value))
    if spec["rootless"]:
        user, group = os.getuid(), os.getgid()
        _call("unshare", _CLONE_NEWUSER)
        _map_user(1000, user, group)
    else:
        os.setgroups([])
        os.setgid(spec["user"])
        os.setuid(spec["user"])
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _give_up(error: Exception) -> NoReturn:
    sys.stderr.write(f"sandbox: {error}\n")
    sys.stderr.flush()
    os._exit(SETUP_FAILED)


def _be_first(spec: dict[str, Any], lifeline: int) -> NoReturn:
    """What pid 1 does: set up, start the command, collect orphans until the command ends."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The launcher may have died before the line above; then its end of this pipe is closed.
    os.set_blocking(lifeline, False)
    try:
        os.read(lifeline, 1)
        os._exit(SETUP_FAILED)
    except BlockingIOError:
        pass
    _make_root(spec)
    command = os.fork()
    if command == 0:
        try:
            os.close(lifeline)
            _drop_privileges(spec)
            os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
        except OSError as error:
            _give_up(error)
    while True:
        pid, status = os.wait()
        if pid == command:
            os._exit(_exit_code(status))


def main() -> NoReturn:
    spec = json.loads(sys.argv[1])
    os.umask(0o022)
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != spec["parent"]:
        os._exit(SETUP_FAILED)
    try:
        user, group = os.getuid(), os.getgid()
        spaces = _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS
        _call("unshare", spaces | (_CLONE_NEWUSER if spec["rootless"] else 0))
        if spec["rootless"]:
            _map_user(0, user, group)
        reading, writing = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(writing)
            _be_first(spec, reading)
        # To be stopped means to end only when nothing of the build is left: the kernel lets the first process
        # of a PID namespace be waited for when all others are dead.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGKILL))
        os.close(reading)
        os._exit(_exit_code(os.waitpid(first, 0)[1]))
    except OSError as error:
        _give_up(error)


if __name__ == "__main__":
    main()
