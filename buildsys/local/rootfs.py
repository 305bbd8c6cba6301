"""Assemble the file system that a build sees.

It contains the parts of the host that builds need: the distribution's programs and libraries, and selected
files in ``/etc``. The packages of earlier batches, the *view*, are laid over it. ``buildsys.local.jail``
imports this module, so it uses only the standard library.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from buildsys.local import kernel, trees
from buildsys.local.kernel import MS_NODEV, MS_NOEXEC, MS_NOSUID

#: Shown completely and read-only. The distribution's packages own these folders.
SHOWN = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
#: Entries of /etc that compilers, interpreters, linkers, rpm and document tools read, if they exist. They
#: include public certificates, but no private keys, accounts, host names or logins of the machine.
ETC = (
    "ImageMagick-6", "ImageMagick-7", "OpenCL", "X11", "alternatives", "ant.conf", "ant.d", "bash.bashrc",
    "bashrc", "centos-release", "crypto-policies", "csh.cshrc", "debian_version", "emacs", "fedora-release",
    "fonts", "gdb", "ghostscript", "glvnd", "groff", "gss", "inputrc", "java", "jvm", "ld.so.cache",
    "ld.so.conf", "ld.so.conf.d", "libnl", "locale.alias", "localtime", "login.defs", "lsb-release", "magic",
    "magic.mime", "mailcap", "man_db.conf", "manpath.config", "maven", "mime.types", "modulefiles",
    "os-release", "papersize", "perl", "pki/ca-trust/extracted", "pki/java", "pki/rpm-gpg",
    "pki/tls/cert.pem", "pki/tls/certs", "pki/tls/openssl.cnf", "popt.d", "profile", "profile.d", "protocols",
    "python", "python2", "python3", "redhat-release", "rpc", "rpm", "scl", "services", "sgml", "shells",
    "skel", "ssl/certs", "ssl/openssl.cnf", "system-release", "system-release-cpe", "terminfo", "texmf",
    "timezone", "vulkan", "xattr.conf", "xdg", "xml",
)  # fmt: skip
#: The folders of commands.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Debian's Java and Python have a folder for each version.
ETC_BEGINNINGS = ("java-", "python3.")
#: Entries of /proc about keys and the kernel's memory.
_HIDDEN = ("kcore", "key-users", "keys", "timer_list")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
_PRIVATE = kernel.MS_REC | kernel.MS_PRIVATE
_MAX_BYTES = 8 << 20


def shows(path: str) -> bool:
    """Return whether builds see an existing file of the host, below the last link if the path has links."""
    try:
        found = os.path.realpath(path, strict=True)
    except (OSError, ValueError):
        return False
    seen = [*(f"/{name}" for name in SHOWN), *(f"/etc/{name}" for name in _named_of_etc())]
    return any(found == each or found.startswith(f"{each}/") for each in seen)


def accounts(user: int, group: int) -> dict[str, str]:
    """Return name -> content of the files in /etc that are made for a build."""
    return {
        "passwd": "root:x:0:0:root:/:/sbin/nologin\n"
        f"builder:x:{user}:{group}:builder:/builddir:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/:/sbin/nologin\n",
        "group": f"root:x:0:\nbuilder:x:{group}:\nnobody:x:65534:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "hostname": "localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
        "resolv.conf": "",
        "machine-id": "",
    }


def make(spec: Mapping[str, Any]) -> None:
    """Assemble the root file system on ``spec["mountpoint"]`` and change into it.

    Args:
        spec: The message of ``buildsys.local.sandbox``.

    Raises:
        OSError: The kernel refuses a step.
    """
    if _is_mount_point("/"):
        kernel.mount("", "/", flags=_PRIVATE)
    else:
        _leave_plain_chroot()
    # Open before a mount can hide them, and without following links that an earlier command left.
    work = os.open(spec["work"], _FOLDER)
    temporary = os.open("tmp", _FOLDER, dir_fd=work)
    view = os.open(spec["view"], trees.FOLDER) if spec["view"] else None
    inputs = {target.lstrip("/"): os.open(source, _FOLDER) for target, source in spec["readonly"].items()}
    kernel.mount("tmpfs", spec["mountpoint"], "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m")
    os.chdir(spec["mountpoint"])
    _show_host_and_view(view, spec["shows"], accounts(*spec["inside"]))
    for target, source in inputs.items():
        os.makedirs(target, exist_ok=True)
        kernel.bind(source, target)
    writable = {"builddir": work, "tmp": temporary}
    if not os.path.lexists("var"):
        writable["var/tmp"] = temporary
    for target in (*writable, "proc", "dev"):
        os.makedirs(target, exist_ok=True)
    kernel.protect(".")
    for target, source in writable.items():
        kernel.bind(source, target, recursive=False, protect=True)
    # A build must not see pid 1, whose command line contains folders of the host.
    kernel.mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2")
    _make_devices()
    for name in filter(os.path.exists, (f"proc/{name}" for name in _HIDDEN)):
        kernel.mount("/dev/null", name, flags=kernel.MS_BIND)
    kernel.pivot_root()
    for descriptor in (work, temporary, *inputs.values(), *([] if view is None else [view])):
        os.close(descriptor)
    os.chdir("/builddir")


def _is_mount_point(path: str) -> bool:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return any(line.split(" ", 5)[4] == path for line in file)


def _leave_plain_chroot() -> None:
    """Make the root folder, which is not a mount point after chroot(1), one, as pivot_root(2) requires.

    Before that, all mounts must become private, so that the host does not get the new mounts. This is only
    possible for a mount point, and that of the root folder is above it.
    """
    inner = os.open("/", _FOLDER)
    os.fchdir(inner)
    # The working directory is then outside of the root, where ".." leads up.
    os.chroot("/proc")
    while not os.path.samefile(".", ".."):
        os.chdir("..")
    kernel.mount("", ".", flags=_PRIVATE)
    os.fchdir(inner)
    os.chroot(".")
    os.close(inner)
    kernel.mount("/", "/", flags=kernel.MS_BIND | kernel.MS_REC)
    # "/" still means the folder below the new mount. Looking up its ".." leads to the mount.
    os.chdir("/..")
    os.chroot(".")


def _show_host_and_view(view: int | None, extra: Iterable[str], made: Mapping[str, str]) -> None:
    """Fill the working directory with the read-only parts."""
    partly = {"etc": _named_of_etc()}
    for path in extra:
        top, _, rest = path.strip("/").partition("/")
        if top not in SHOWN:
            partly.setdefault(top, []).append(rest)
    brought = set(os.listdir(view)) if view is not None else set()
    for name in sorted({*SHOWN, *partly, *brought} - {"proc", "dev", "tmp", "builddir"}):
        over = _open_folder(name, view)
        if name in partly:
            _show_partly(name, partly[name], over, made if name == "etc" else {})
        else:
            _show(name, over)


def _open_folder(path: str, inside: int | None) -> int | None:
    """Open a folder by a relative path without links; return None if there is none.

    A package may have put a symbolic link there, and following it would show any folder of the host.
    """
    if inside is None:
        return None
    here = os.dup(inside)
    for part in path.split("/"):
        try:
            below = os.open(part, _FOLDER, dir_fd=here)
        except OSError:
            return None
        finally:
            os.close(here)
        here = below
    return here


def _show(name: str, over: int | None) -> None:
    """Show a top-level folder of the host completely, if it is one of ``SHOWN``, below that of the view."""
    host = f"/{name}"
    if name in SHOWN and os.path.islink(host):
        os.symlink(os.readlink(host), name)
        return
    layers = [] if over is None else [over]
    if name in SHOWN and os.path.isdir(host):
        layers.append(os.open(host, _FOLDER))
    if layers:
        os.mkdir(name)
        _mount_layers(layers, name)


def _show_partly(top: str, names: Iterable[str], over: int | None, made: Mapping[str, str]) -> None:
    """Show selected entries of a top-level folder and files made for the build, below those of the view."""
    os.mkdir(top)
    folders = [name for name in dict.fromkeys(names) if name not in made and _sketch(top, name)]
    for name, text in made.items():
        with open(f"{top}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    if top == "etc":
        os.symlink("/proc/self/mounts", "etc/mtab")
    if over is not None:
        _mount_layers([os.dup(over), os.open(top, _FOLDER)], top)
    for name in folders:
        place = f"{top}/{name}".rstrip("/")
        here = os.open(".", _FOLDER)
        target = _open_folder(place, here)
        os.close(here)
        # The view has a file or a link in its place.
        if target is None:
            continue
        os.close(target)
        above = _open_folder(name, over) if name else over
        _mount_layers([*([] if above is None else [above]), os.open(f"/{place}", _FOLDER)], place)


def _sketch(top: str, name: str) -> bool:
    """Copy a link or a file of the host; for a folder, make an empty one as a mount point.

    Returns:
        Whether it is a folder.
    """
    target = f"{top}/{name}".rstrip("/")
    source = f"/{target}"
    try:
        mode = os.lstat(source).st_mode
    except OSError:
        return False
    os.makedirs(target if stat.S_ISDIR(mode) else os.path.dirname(target), exist_ok=True)
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
        with open(source, "rb") as old, open(target, "wb") as new:
            new.write(old.read(_MAX_BYTES))
    return stat.S_ISDIR(mode)


def _named_of_etc() -> list[str]:
    versions = [name for name in os.listdir("/etc") if name.startswith(ETC_BEGINNINGS)]
    return [*ETC, *versions]


def _mount_layers(layers: list[int], target: str) -> None:
    """Mount open folders at a path, the first on top, and close them."""
    if len(layers) == 1:
        kernel.bind(layers[0], target)
    else:
        # Names of folders may contain characters with a meaning in overlayfs; these names do not.
        lower = ":".join(f"/proc/self/fd/{layer}" for layer in layers)
        kernel.mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, f"lowerdir={lower}")
    for layer in layers:
        os.close(layer)


def _make_devices() -> None:
    kernel.mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k")
    for device in DEVICES:
        with open(f"dev/{device}", "wb"):
            kernel.mount(f"/dev/{device}", f"dev/{device}", flags=kernel.MS_BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"dev/{name}")
    os.mkdir("dev/shm")
    kernel.mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=256m")
    kernel.write_protect("dev")
