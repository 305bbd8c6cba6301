"""What the demo takes beyond rpmbuild itself.

    python -m benchmarks.demo

Builds the example's packages with nothing but rpmbuild, then runs ``mbs demo`` twice in a fresh data
folder, and prints the seconds of each and, of the first, the difference: everything that is not rpmbuild,
from the start of the service to the installed files. The second run reuses what the first one built.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: in the order of their batches; the last needs what the others built
PACKAGES = ["libmbsgreet", "mbsgreet-data", "mbsgreet-textgen", "mbsgreet"]


def main() -> None:
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
    """Seconds of one source and binary build on the host; whether it succeeds there does not matter."""
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
