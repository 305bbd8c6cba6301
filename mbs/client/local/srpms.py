"""Turn source RPMs into git repositories, from which components are built like from any other."""

from __future__ import annotations

import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mbs.client.local.git import commit, git, init_bare
from mbs.client.up.needs import Missing, install_command
from mbs.errors import InvalidInput
from mbs.names import NAME
from mbs.text import printable

#: Limits of the files in one source RPM.
MAX_FILES, MAX_BYTES = 2000, 2 << 30
#: Time of the commits, so that the same source RPM always makes the same commit.
_SECONDS = 1_000_000_000
_TIMEOUT = 300


def choices(texts: Sequence[str]) -> dict[str, Path]:
    """Return source RPMs by component: ``["bash=bash-5-1.src.rpm"]``, or ``["bash-5-1.src.rpm"]``.

    Raises:
        InvalidInput: A text does not have this form, or names no source RPM.
    """
    found = {}
    for text in texts:
        package, equals, name = text.partition("=")
        if not equals:
            package, name = Path(text).name.rsplit("-", 2)[0], text
        path = Path(name)
        if not NAME.fits(package) or not name:
            raise InvalidInput(
                f"{printable(text)!r} is not of the form PACKAGE=FILE or NAME-VERSION-RELEASE.src.rpm.",
                code="bad_srpm",
            )
        if not path.is_file() or not path.name.endswith(".src.rpm"):
            raise InvalidInput(
                f"{printable(name)} is not a source RPM.",
                code="bad_srpm",
                hint="Name an existing file whose name ends with .src.rpm.",
            )
        found[package] = path
    return found


def store(srpm: Path, repository: Path) -> tuple[str, str]:
    """Store the files of a source RPM in a git repository; return its URL and the commit.

    Raises:
        InvalidInput: It is no source RPM, or exceeds a limit.
        Missing: A program is not installed.
    """
    init_bare(repository)
    with tempfile.TemporaryDirectory(prefix=".srpm-", dir=repository.parent) as scratch:
        files = dict(_files(srpm, Path(scratch)))
        if sum(name.endswith(".spec") for name in files) != 1:
            raise _refusal(srpm, "it does not contain exactly one spec file")
        made = commit(repository, files, message=f"Import {printable(srpm.name)}", seconds=_SECONDS)
    git(repository, "update-ref", "refs/heads/main", made)
    return repository.as_uri(), made


def _files(srpm: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Unpack a source RPM, which has no folders; yield the names of its files, and their paths in a folder.

    The paths have names of their own, because names in a source RPM can be any text.
    """
    program = shutil.which("rpm2archive")
    if program is None:
        raise Missing(
            "rpm2archive is not installed.", hint=f"Install it as root: `{install_command('rpm', 'rpm')}`."
        )
    total = 0
    with srpm.open("rb") as source:
        if not stat.S_ISREG(srpm.stat().st_mode):
            raise _refusal(srpm, "it is not a regular file")
        process = subprocess.Popen(
            (program, "-"), stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert process.stdout is not None
            with tarfile.open(fileobj=process.stdout, mode="r|gz") as archive:
                for count, member in enumerate(archive, 1):
                    name = member.name.removeprefix("./")
                    if member.isdir() and not name.strip("."):
                        continue
                    total += member.size
                    if not member.isfile() or "/" in name or name in ("", ".", "..", ".git"):
                        raise _refusal(
                            srpm, f"it contains {printable(name)[:100]!r}, which is not a plain file"
                        )
                    if count > MAX_FILES or total > MAX_BYTES:
                        raise _refusal(srpm, f"it has more than {MAX_FILES} files or {MAX_BYTES >> 30} GiB")
                    file, path = archive.extractfile(member), folder / str(count)
                    assert file is not None, "it is a file"
                    with path.open("wb") as copy:
                        shutil.copyfileobj(file, copy)
                    yield name, path
        except tarfile.TarError as error:
            raise _refusal(srpm, f"rpm2archive cannot read it ({error})") from error
        finally:
            process.kill()
            process.wait(_TIMEOUT)
            if process.stdout:
                process.stdout.close()


def _refusal(srpm: Path, reason: str) -> InvalidInput:
    return InvalidInput(
        f"{printable(str(srpm))} cannot be used: {reason}.",
        code="bad_srpm",
        hint="Make it with `rpmbuild -bs`.",
    )
