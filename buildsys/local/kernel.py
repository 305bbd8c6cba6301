"""System calls that Python has no functions for.

``buildsys.local.jail`` imports this module, so it uses only the standard library.
"""

from __future__ import annotations

import ctypes
import os
import struct

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 4
# Since Linux 5.1, system calls have the same number on all architectures.
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 22, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_SECCOMP_MODE_FILTER = 2
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
#: keyctl(2) on the machines that ``buildsys.local.syscalls`` supports.
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
_KEYCTL_JOIN_SESSION_KEYRING = 1

_libc = ctypes.CDLL(None, use_errno=True)


class KernelError(OSError):
    """A system call failed. The message names no path, because users can read it in build logs."""


def _call(name: str, *args: object) -> int:
    result: int = getattr(_libc, name)(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise KernelError(number, f"{name}: {os.strerror(number)}")
    return result


def _syscall(name: str, number: int, *args: object) -> int:
    try:
        return _call("syscall", ctypes.c_long(number), *args)
    except KernelError as error:
        raise KernelError(error.errno, f"{name}: {os.strerror(error.errno or 0)}") from None


def unshare(flags: int) -> None:
    """Move this process into new namespaces (unshare(2))."""
    _call("unshare", flags)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount a file system (mount(2))."""
    _call("mount", *(os.fsencode(text) for text in (source, target, kind)), flags, os.fsencode(data))


def bind(folder: int, target: str, *, recursive: bool = True, protect: bool = False) -> None:
    """Mount an open folder at another path.

    Args:
        folder: A file descriptor, so that a folder that was replaced since is not followed.
        protect: Ignore set-user-id bits and device nodes.
    """
    how = _AT_EMPTY_PATH | _OPEN_TREE_CLONE | os.O_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    tree = _syscall("open_tree", _SYS_OPEN_TREE, folder, b"", how)
    try:
        if protect:
            _set_attributes(tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, _ATTR_NOSUID | _ATTR_NODEV)
        where = os.fsencode(target)
        _syscall("move_mount", _SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, where, _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)


def protect(path: str) -> None:
    """Make a mount and those below read-only, without set-user-id bits and devices; keep other flags."""
    attributes = _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV
    _set_attributes(_AT_FDCWD, os.fsencode(path), _AT_RECURSIVE, attributes)


def write_protect(path: str) -> None:
    """Make one mount read-only, but not those below it."""
    _set_attributes(_AT_FDCWD, os.fsencode(path), 0, _ATTR_RDONLY | _ATTR_NOSUID)


def _set_attributes(folder: int, path: bytes, how: int, attributes: int) -> None:
    value = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    _syscall("mount_setattr", _SYS_MOUNT_SETATTR, folder, path, how, ctypes.byref(value), 32)


def pivot_root() -> None:
    """Make the working directory, which must be a mount point, the root, and unmount the old root."""
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)


def die_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent dies (PR_SET_PDEATHSIG)."""
    _call("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)


def set_host_name(name: str) -> None:
    """Set the host name in this process's UTS namespace (sethostname(2))."""
    _call("sethostname", name.encode(), len(name))


def leave_session_keyring() -> None:
    """Get a new, empty session keyring (keyctl(2)), if the kernel has keyrings."""
    number = _SYS_KEYCTL.get(os.uname().machine)
    if number:
        _libc.syscall(ctypes.c_long(number), _KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)


def drop_bounding_set() -> None:
    """Prevent programs that are run from now on from gaining capabilities (capabilities(7))."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
        last = int(file.read())
    for capability in range(last + 1):
        _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def drop_capabilities() -> None:
    """Drop all capabilities of this process (capset(2))."""
    _call("capset", struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0), bytes(24))


def filter_system_calls(program: bytes) -> None:
    """Filter system calls by a BPF program from now on (seccomp(2))."""
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count and a pointer, aligned as in C.
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    _call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def forbid_new_privileges() -> None:
    """Disable set-user-id bits for programs that are run from now on (PR_SET_NO_NEW_PRIVS)."""
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
