"""Brings what a source RPM is made of onto this machine: the only step of a build that uses the network.

It is done by the service, not by the build, and nothing of the repository is checked out or run here: the
sandbox does that from the bare repository.
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
    """What the source RPM of a job is made of; it disappears with the ``with`` block.

    Args:
        folder: An empty folder for files that are not in git.

    Raises:
        mbs.errors.MBSError: When the repository, the commit, its spec file or a source is not
            there.
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
    """The files that the repository says lie in a lookaside cache, without those that are in git as well."""
    uploads = parse_sources(read_sources_file(snapshot, package, options))
    committed = {name.removeprefix(f"{SOURCES}/") for name in snapshot.files}
    return {name: upload for name, upload in uploads.items() if name not in committed}


def _download(
    package: str, name: str, upload: Upload, folder: Path, url: ScmUrl, options: ScmOptions
) -> None:
    """Download a source, and keep it only if it has the digest that the repository names."""
    import httpx

    with Lookaside(options) as lookaside:
        template = lookaside.template(url.repository)
    if not template or name.startswith(".") or "/" in name:
        raise BuildSystemError(
            f"The source {name} of {package} is not in git, and no lookaside cache is configured.",
            code="source_missing",
            hint="Commit the file, or have the operator configure the lookaside cache of this dist-git.",
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
            hint="Upload it to the lookaside cache, or try again when the cache can be reached.",
        ) from error
    if digest.hexdigest() != upload.hash:
        raise BuildSystemError(
            f"{address} does not have the {upload.hashtype} digest that the file 'sources' names.",
            code="source_altered",
            hint="Upload the right file, or mend the file 'sources'.",
        )


def _get(address: str, options: ScmOptions) -> Iterator[bytes]:
    """The content of a file of the cache; where redirects lead does not matter, its digest is checked."""
    import httpx  # as in scm.sources: most processes never download

    size = 0
    with httpx.stream("GET", address, timeout=options.http_timeout, follow_redirects=True) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes(1 << 20):
            size += len(chunk)
            if size > _MAX_FILE:
                raise ValueError(f"it is larger than {_MAX_FILE >> 30} GiB")
            yield chunk
