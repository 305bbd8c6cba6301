"""The system calls that builds may not make, as a program for seccomp(2).

Everything else is allowed, because builds run compilers, test suites and interpreters of all kinds. Missing
capabilities already prevent the calls of root. This list adds calls that any user may make but that builds
do not need.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from buildsys.local.kernel import CLONE_NEWUSER

#: Name in uname(2) -> AUDIT_ARCH_* of linux/audit.h.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: The bit in system call numbers of the x32 ABI, which x86_64 kernels support too.
_X32 = 0x40000000
#: All CLONE_NEW* except CLONE_NEWUSER, which is also refused in clone(2).
_OTHER_NAMESPACES = 0x20000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000 | 0x80
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_NETLINK_ROUTE = 0
#: Protocols of internet sockets. For others (SCTP, DCCP, L2TP), the kernel would load a module.
_PROTOCOLS = (
    0,
    socket.IPPROTO_ICMP,
    socket.IPPROTO_TCP,
    socket.IPPROTO_UDP,
    socket.IPPROTO_ICMPV6,
    socket.IPPROTO_RAW,
)

#: System call -> its numbers on x86_64 and aarch64 (asm/unistd.h).
_NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone": (56, 220),
    "clone3": (435, 435),
    "fanotify_init": (300, 262),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "request_key": (249, 218),
    "setns": (308, 268),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
# With ENOSYS, programs assume an old kernel and use other calls. glibc then starts threads by clone(2), whose
# flags, unlike those of clone3(2), a filter can check. io_uring makes system calls that filters do not see.
_UNKNOWN = (
    "add_key", "clone3", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl", "request_key",
)  # fmt: skip
_FORBIDDEN = (
    "bpf", "fanotify_init", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount",
    "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "quotactl", "quotactl_fd", "setns",
    "syslog", "umount2", "userfaultfd",
)  # fmt: skip

# linux/bpf_common.h: loads of a word at an absolute offset, jumps, return.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# linux/seccomp.h: struct seccomp_data and the return values of filters.
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def supported(machine: str = "") -> bool:
    """Return whether there is a filter for a machine, by default this one."""
    return (machine or os.uname().machine) in _ARCHITECTURES


def program(machine: str = "") -> bytes:
    """Return the filter for a machine; empty if there is none.

    Programs of another ABI (32-bit code on a 64-bit machine, x32) get ENOSYS for every call, because their
    numbers mean other calls.
    """
    machine = machine or os.uname().machine
    if not supported(machine):
        return b""
    column = list(_ARCHITECTURES).index(machine)
    number = {name: numbers[column] for name, numbers in _NUMBERS.items()}
    lines = [_load(_ARCH), *_unless(_IF_EQUAL, _ARCHITECTURES[machine], errno.ENOSYS), _load(_NUMBER)]
    if machine == "x86_64":
        lines += _when(_IF_AT_LEAST, _X32, [_refuse(errno.ENOSYS)])
    for name in _UNKNOWN:
        lines += _when(_IF_EQUAL, number[name], [_refuse(errno.ENOSYS)])
    for name in _FORBIDDEN:
        lines += _when(_IF_EQUAL, number[name], [_refuse(errno.EPERM)])
    lines += _when(_IF_EQUAL, number["clone"], _refuse_bits(CLONE_NEWUSER))
    lines += _when(_IF_EQUAL, number["unshare"], _refuse_bits(CLONE_NEWUSER | _OTHER_NAMESPACES))
    lines += _when(_IF_EQUAL, number["socket"], _sockets())
    # It makes sockets of the family, and loads its kernel module, before it finds that they have no pairs.
    lines += _when(_IF_EQUAL, number["socketpair"], _families(socket.AF_UNIX))
    lines += _when(_IF_EQUAL, number["ioctl"], _terminals())
    return b"".join([*lines, _allow()])


def _line(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)  # struct sock_filter


def _load(offset: int) -> bytes:
    return _line(_LOAD, offset)


def _argument(index: int) -> bytes:
    """Load the lower half of an argument. Both machines are little-endian."""
    return _load(_ARGUMENTS + 8 * index)


def _allow() -> bytes:
    return _line(_RETURN, _ALLOW)


def _refuse(number: int) -> bytes:
    return _line(_RETURN, _ERRNO | number)


def _when(test: int, value: int, lines: list[bytes]) -> list[bytes]:
    return [_line(test, value, 0, len(lines)), *lines]


def _unless(test: int, value: int, error: int) -> list[bytes]:
    return [_line(test, value, 1, 0), _refuse(error)]


def _refuse_bits(bits: int) -> list[bytes]:
    return [_argument(0), *_when(_IF_ANY_BIT, bits, [_refuse(errno.EPERM)]), _allow()]


def _sockets() -> list[bytes]:
    """Allow sockets within the build's own network namespace and between its processes."""
    internet = [_argument(2)]
    for protocol in _PROTOCOLS:
        internet += _when(_IF_EQUAL, protocol, [_allow()])
    internet += [_refuse(errno.EPROTONOSUPPORT)]
    route = [_argument(2), *_when(_IF_EQUAL, _NETLINK_ROUTE, [_allow()]), _refuse(errno.EAFNOSUPPORT)]
    lines = [_argument(0)]
    for family in (socket.AF_INET, socket.AF_INET6):
        lines += _when(_IF_EQUAL, family, internet)
    lines += _when(_IF_EQUAL, socket.AF_NETLINK, route)
    return [*lines, *_families(socket.AF_UNIX)]


def _families(*families: int) -> list[bytes]:
    lines = [_argument(0)]
    for family in families:
        lines += _when(_IF_EQUAL, family, [_allow()])
    return [*lines, _refuse(errno.EAFNOSUPPORT)]


def _terminals() -> list[bytes]:
    """Prevent injecting input into a terminal."""
    lines = [_argument(1)]
    for request in (_TIOCSTI, _TIOCLINUX):
        lines += _when(_IF_EQUAL, request, [_refuse(errno.EPERM)])
    return [*lines, _allow()]
