"""Fetch the parts of a source RPM, the only step of a build that uses the network.

The service does this, not the build. Nothing of the repository is checked out or run here; the sandbox does
that from the bare repository.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from buildsys.base import BuildSystemError, Job
from buildsys.local.runner import SOURCES, Inputs
from scm.components import find_spec, read_sources_file
from scm.git import Repository, Snapshot
from scm.options import ScmOptions
from scm.sources import Lookaside, Upload, fill, parse_sources
from scm.urls import ScmUrl

_MAX_FILE = 4 << 30


@contextmanager
def inputs(job: Job, folder: Path, options: ScmOptions) -> Iterator[Inputs]:
    """Yield the parts of a job's source RPM, which are removed at the end of the ``with`` block.

    Args:
        folder: An empty folder for files that are not in git.

    Raises:
        mbs.errors.MBSError: The repository, the commit, its spec file or a source is missing.
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
            _download(job.package, name, upload, folder, url, options)
        yield Inputs(folder, spec, repository.git_dir, snapshot.commit)


def _listed(package: str, snapshot: Snapshot, options: ScmOptions) -> dict[str, Upload]:
    """Return the files that the repository lists for a lookaside cache, without those in git."""
    uploads = parse_sources(read_sources_file(snapshot, package, options))
    committed = {name.removeprefix(f"{SOURCES}/") for name in snapshot.files}
    return {name: upload for name, upload in uploads.items() if name not in committed}


def _download(
    package: str, name: str, upload: Upload, folder: Path, url: ScmUrl, options: ScmOptions
) -> None:
    """Download a source and check its digest."""
    import httpx

    with Lookaside(options) as lookaside:
        template = lookaside.template(url.repository)
    if not template or name.startswith(".") or "/" in name:
        raise BuildSystemError(
            f"The source {name} of {package} is not in git, and no lookaside cache is configured.",
            code="source_missing",
            hint="Commit the file, or ask the operator to configure the lookaside cache of this dist-git.",
        )
    parts = {"package": package, "file": name, "hashtype": upload.hashtype, "hash": upload.hash}
    address = fill(template, parts)
    try:
        digest = hashlib.new(upload.hashtype)
        with (folder / name).open("wb") as file:
            for chunk in _get(address, options):
                digest.update(chunk)
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise BuildSystemError(
            f"The source {name} of {package} could not be downloaded from {address}: {error}.",
            code="source_missing",
            hint="Upload it to the lookaside cache, or try again later.",
        ) from error
    if digest.hexdigest() != upload.hash:
        raise BuildSystemError(
            f"{address} does not match the {upload.hashtype} digest in the file 'sources'.",
            code="source_altered",
            hint="Upload the right file, or correct the file 'sources'.",
        )


def _get(address: str, options: ScmOptions) -> Iterator[bytes]:
    """Yield the content of a file, following redirects, since its digest is checked."""
    # As in scm.sources: most processes never download.
    import httpx

    size = 0
    with httpx.stream("GET", address, timeout=options.http_timeout, follow_redirects=True) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes(1 << 20):
            size += len(chunk)
            if size > _MAX_FILE:
                raise ValueError(f"it is larger than {_MAX_FILE >> 30} GiB")
            yield chunk
