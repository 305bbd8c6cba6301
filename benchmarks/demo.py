"""Measure how long the demo takes in addition to rpmbuild.

    python -m benchmarks.demo

Build the example's packages with rpmbuild alone, then run ``mbs demo`` twice in a new data folder. Print the
seconds of each and, for the first demo, the difference, which is everything except rpmbuild: expansion, git,
sandboxes, repositories, dnf.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: In the order of their batches; the last needs the others.
PACKAGES = ["libmbsgreet", "mbsgreet-data", "mbsgreet-textgen", "mbsgreet"]


def main() -> None:
    """Run the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        bare = sum(bare_build(package, Path(folder)) for package in PACKAGES)
        print(f"bare rpmbuild of {len(PACKAGES)} packages, without build requirements: {bare:5.1f} s")
        for run in ("first", "second"):
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "mbs.client", "demo", "--data", f"{folder}/data"],
                check=True,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
            )
            seconds = time.perf_counter() - begun
            beyond = f"{seconds - bare:5.1f} s more than rpmbuild" if run == "first" else "all of it reused"
            print(f"{run} demo: {seconds:5.1f} s, {beyond}", flush=True)


def bare_build(package: str, folder: Path) -> float:
    """Return the seconds of a source and a binary build on the host, whether it succeeds or not."""
    sources = ROOT / "examples" / "rpms" / package
    begun = time.perf_counter()
    subprocess.run(
        [
            "rpmbuild",
            "-ba",
            "--nodeps",
            f"--define=_topdir {folder}/{package}",
            f"--define=_sourcedir {sources}",
            sources / f"{package}.spec",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
