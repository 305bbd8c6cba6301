"""Merge the metric files of ended processes into one file for each kind of metric.

Otherwise every request for metrics would read the files of all processes that ever ran.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

_OF_PROCESS = re.compile(r"(counter|histogram)_(\d+)\.db")


class MachineCollector(MultiProcessCollector):
    """Collect the sums over all processes of this machine, which must share a process id namespace."""

    def collect(self) -> Iterable[Metric]:
        """Merge the files of ended processes, and return the sums."""
        folder = Path(self._path)
        # Reading while another process merges would count some files twice.
        with (folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _merge_ended(folder)
            sums: Iterable[Metric] = super().collect()
            return sums


def _merge_ended(folder: Path) -> None:
    ended = defaultdict(list)
    for path in folder.iterdir():
        found = _OF_PROCESS.fullmatch(path.name)
        if found and not _is_running(int(found[2])):
            ended[found[1]].append(path)
    for kind, paths in ended.items():
        _merge(folder / f"{kind}_ended.db", paths)


def _merge(target: Path, paths: Sequence[Path]) -> None:
    """Add the values of these files to ``target``, and remove them."""
    sums: dict[str, float] = defaultdict(float)
    for path in [target, *paths] if target.exists() else paths:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(path):
            sums[key] += value
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    merged = MmapedDict(str(new))
    for key, value in sums.items():
        merged.write_value(key, value, 0.0)
    merged.close()
    new.replace(target)
    for path in paths:
        path.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
