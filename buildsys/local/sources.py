"""Fetch the parts of a source RPM, the only step of a build that uses the network.

The service does this, not the build. Nothing of the repository is checked out or run here; the sandbox does
that from the bare repository.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from buildsys.base import BuildSystemError, Job
from buildsys.local.runner import SOURCES, Inputs
from buildsys.local.sandbox import Limits, Stopped
from mbs.text import printable
from scm.components import find_spec, read_sources_file
from scm.git import Repository, Snapshot
from scm.options import ScmOptions
from scm.sources import Lookaside, Upload, fill, parse_sources
from scm.urls import ScmUrl

#: Max bytes of a file name.
_MAX_NAME = 255


@dataclass
class Allowance:
    """What the downloads of one build may use, as the build itself later.

    Attributes:
        folder: Folder of the downloads.
        disk: Bytes that are left.
        deadline: Time limit, by ``time.monotonic``.
        stop: Returns a reason to stop, or an empty text.
    """

    folder: Path
    limits: Limits
    disk: int
    deadline: float
    stop: Callable[[], str]

    @classmethod
    def of(cls, folder: Path, limits: Limits, deadline: float, stop: Callable[[], str]) -> Allowance:
        """Return the allowance of a build that starts now."""
        return cls(folder, limits, limits.allowance(folder)["disk"], deadline, stop)

    def take(self, size: int = 0) -> None:
        """Count bytes.

        Raises:
            Stopped: A limit is exceeded, or the build must stop.
        """
        self.disk -= size
        reason = self.stop()
        if self.disk < 0:
            reason = "its sources need more disk space than a build may use"
        elif time.monotonic() > self.deadline:
            reason = f"it ran longer than the limit of {self.limits.seconds:.0f} seconds"
        elif not reason and (scarce := self.limits.short_of(self.folder, share=0.5)):
            reason = f"the builder ran out of {scarce}"
        if reason:
            raise Stopped(reason)


@contextmanager
def inputs(job: Job, folder: Path, options: ScmOptions, allowance: Allowance) -> Iterator[Inputs]:
    """Yield the parts of a job's source RPM, which are removed at the end of the ``with`` block.

    Args:
        folder: An empty folder for files that are not in git.
        allowance: Limits the downloads to that folder.

    Raises:
        mbs.errors.MBSError: The repository, the commit, its spec file or a source is missing.
        Stopped: See :meth:`Allowance.take`.
    """
    if job.spec:
        name = f"{job.package}.spec"
        (folder / name).write_text(job.spec, encoding="utf-8")
        yield Inputs(folder, name)
        return
    url = ScmUrl.parse(job.source)
    with Repository(url.repository, options) as repository:
        snapshot = repository.snapshot(repository.resolve(url.revision))
        spec = find_spec(snapshot)
        for name, upload in _listed(job.package, snapshot, options).items():
            _download(job.package, name, upload, url, options, allowance)
        yield Inputs(folder, spec, repository.git_dir, snapshot.commit)


def _listed(package: str, snapshot: Snapshot, options: ScmOptions) -> dict[str, Upload]:
    """Return the files that the repository lists for a lookaside cache, without those in git."""
    uploads = parse_sources(read_sources_file(snapshot, package, options))
    committed = {name.removeprefix(f"{SOURCES}/") for name in snapshot.files}
    return {name: upload for name, upload in uploads.items() if name not in committed}


def _download(
    package: str,
    name: str,
    upload: Upload,
    url: ScmUrl,
    options: ScmOptions,
    allowance: Allowance,
) -> None:
    """Download a source and check its digest."""
    import httpx

    with Lookaside(options) as lookaside:
        template = lookaside.template(url.repository)
    if not name or name.startswith(".") or len(name.encode()) > _MAX_NAME or not name.isprintable():
        raise BuildSystemError(
            f"The file 'sources' of {package} lists {printable(name[:80])!r}, which cannot be a source.",
            code="source_missing",
            hint="Correct the file 'sources'.",
        )
    if not template:
        raise BuildSystemError(
            f"The source {name} of {package} is not in git, and no lookaside cache is configured.",
            code="source_missing",
            hint="Commit the file, or ask the operator to configure the lookaside cache of this dist-git.",
        )
    parts = {"package": package, "file": name, "hashtype": upload.hashtype, "hash": upload.hash}
    address = fill(template, parts)
    try:
        digest = hashlib.new(upload.hashtype)
        allowance.take()
        with (allowance.folder / name).open("wb") as file:
            for chunk in _get(address, options):
                allowance.take(len(chunk))
                digest.update(chunk)
                file.write(chunk)
        found = digest.hexdigest()
    # hashlib has functions whose digests have no fixed length.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        raise BuildSystemError(
            f"The source {name} of {package} could not be downloaded from {address}: {error}.",
            code="source_missing",
            hint="Upload it to the lookaside cache, or try again later.",
        ) from error
    if found != upload.hash:
        raise BuildSystemError(
            f"{address} does not match the {upload.hashtype} digest in the file 'sources'.",
            code="source_altered",
            hint="Upload the right file, or correct the file 'sources'.",
        )


def _get(address: str, options: ScmOptions) -> Iterator[bytes]:
    """Yield the content of a file, following redirects, since its digest is checked."""
    # As in scm.sources: most processes never download.
    import httpx

    with httpx.stream("GET", address, timeout=options.http_timeout, follow_redirects=True) as answer:
        answer.raise_for_status()
        yield from answer.iter_bytes(1 << 20)
