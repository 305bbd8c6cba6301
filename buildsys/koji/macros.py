"""The source RPM of module-build-macros: Koji builds it from an upload, for it has no dist-git.

Contract: ``koji.md``, "What a module build leaves in Koji", point 2.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from buildsys.base import BuildSystemError, BuildSystemUnavailable, Job

_PATIENCE = 60


def make_srpm(job: Job) -> tuple[str, bytes]:
    """File name and content of the source RPM of a spec file that needs no sources.

    :raises BuildSystemError: ``srpm_failed`` when rpmbuild refuses the spec file.
    :raises BuildSystemUnavailable: ``rpmbuild_missing`` when this machine has no rpmbuild.
    """
    with tempfile.TemporaryDirectory() as place:
        spec = Path(place, f"{job.package}.spec")
        spec.write_text(job.spec, encoding="utf-8")
        folders = [
            word
            for name in ("_topdir", "_sourcedir", "_srcrpmdir", "_builddir")
            for word in ("--define", f"{name} {place}")
        ]
        command = ["rpmbuild", "-bs", "--nodeps", "--target", "noarch", *folders, str(spec)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except FileNotFoundError as error:
            raise BuildSystemUnavailable(
                "There is no rpmbuild on this machine, which makes the source RPM of module-build-macros.",
                code="rpmbuild_missing",
                hint="Install rpm-build (Fedora) or rpm (Debian) where the workers run.",
            ) from error
        made = sorted(Path(place).glob("*.src.rpm"))
        if done.returncode or not made:
            raise BuildSystemError(
                f"rpmbuild made no source RPM of {job.package}: {done.stderr.strip()[-500:]}",
                code="srpm_failed",
                hint="Look at buildopts.rpms.macros and the names that the macros package conflicts with.",
            )
        return made[0].name, made[0].read_bytes()
