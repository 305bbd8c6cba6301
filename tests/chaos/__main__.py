"""The command of ``make chaos``; ``--help`` lists its options."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos import enclosure
from tests.chaos.kinds import KINDS
from tests.chaos.run import Options, Run, remove_data

#: Set in the process that ``enclosure.run`` has started.
INSIDE = "CHAOS_INSIDE"


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--size", type=int, default=60, help="modules to submit")
    parser.add_argument("--seconds", type=float, default=120, help="time with faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--components", type=_range, default=(10, 30), help="components of a module, low-high"
    )
    parser.add_argument(
        "--faults", default="", help=f"kinds, separated by commas; default: all of {', '.join(KINDS)}"
    )
    parser.add_argument(
        "--pace", type=_range, default=(0.5, 3.0), help="seconds between two faults, low-high"
    )
    parser.add_argument(
        "--quiet", type=float, default=240, help="max seconds until all builds have ended after the faults"
    )
    parser.add_argument("--slots", type=int, default=40, help="NUM_CONCURRENT_BUILDS")
    parser.add_argument(
        "--keep",
        type=Path,
        help="empty or new folder for logs and report; default: a temporary one",
    )
    return parser.parse_args()


def make_empty(folder: Path) -> None:
    """Create a folder unless it exists; exit with a message if it has content or cannot be created."""
    advice = "Name an empty or new folder with --keep."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        sys.exit(f"The folder {folder} cannot be used: {error.strerror}. {advice}")
    if used:
        sys.exit(f"The folder {folder} is not empty. {advice}")


def main() -> int:
    """Make one run; return 0 if every invariant holds, otherwise 1."""
    arguments = _arguments()
    if os.geteuid() == 0 and INSIDE not in os.environ:
        command = [sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
        return enclosure.run(command, os.environ | {INSIDE: "1"})
    enclosure.leave_on_signals()
    kinds = [name for name in arguments.faults.split(",") if name]
    unknown = [name for name in kinds if name not in KINDS]
    if unknown:
        sys.exit(f"There is no kind of fault {', '.join(unknown)}. Kinds are {', '.join(KINDS)}.")
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="mbs-chaos-"))
    make_empty(folder)
    # PostgreSQL runs as another user if this is root's.
    folder.chmod(0o755)
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    low, high = arguments.components
    options = Options(
        size=arguments.size,
        seconds=arguments.seconds,
        seed=arguments.seed,
        components=(int(low), int(high)),
        faults=kinds,
        pace=arguments.pace,
        quiet=arguments.quiet,
        slots=arguments.slots,
    )
    try:
        with Run(options, folder.absolute()) as run:
            run.say(
                f"{options.size} modules, {options.seconds:.0f} s of faults, seed {options.seed}: {folder}"
            )
            run.inject_faults()
            run.settle()
            run.report()
    except SystemExit:  # a signal
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            remove_data(folder)
        raise
    remove_data(folder)
    return 1 if run.violations else 0


if __name__ == "__main__":
    sys.exit(main())
