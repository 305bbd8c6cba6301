"""Compare with libmodulemd, which runs in the process ``libmodulemd_oracle.py``."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SYSTEM_PYTHON = "/usr/bin/python3"
#: Keys whose empty values mean the same as missing keys.
OPTIONAL = frozenset(
    {
        "name",
        "rpms",
        "content",
        "arches",
        "multilib",
        "buildafter",
        "whitelist",
        "rpm-map",
        "sha256",
        "artifacts",
        "api",
        "filter",
        "demodularized",
    }
)
ORACLE = Path(__file__).with_name("libmodulemd_oracle.py")


@dataclass(frozen=True)
class Answer:
    """libmodulemd's result for a document. ``dump`` is its v2 form as data."""

    ok: bool
    error: str = ""
    dump: tuple[Any, ...] = ()
    crashed: bool = False


class Libmodulemd:
    """A running oracle, which is restarted when libmodulemd has crashed it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.version = ""

    def start(self) -> bool:
        """Start the process; return whether libmodulemd is available."""
        try:
            self.process = subprocess.Popen(
                [SYSTEM_PYTHON, "-W", "ignore", str(ORACLE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            return False
        assert self.process.stdout is not None
        hello = self.process.stdout.readline()
        self.version = json.loads(hello)["version"] if hello else ""
        return bool(hello)

    def ask(self, text: str, *, strict: bool) -> Answer:
        """Return the result for a text with one document."""
        line = self._exchange(json.dumps({"text": text, "strict": strict}))
        if not line:
            self.stop()
            assert self.start()
            return Answer(ok=False, crashed=True)
        said = json.loads(line)
        return Answer(said["ok"], said["error"], as_data(said["dump"]))

    def _exchange(self, request: str) -> str:
        """Return the answer to a line; an empty text if the process has died."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self.process.stdout.readline()

    def stop(self) -> None:
        """Kill the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


def as_data(text: str) -> tuple[Any, ...]:
    """Return documents as nested dicts, lists and texts, without optional empty values."""
    documents = yaml.load_all(text, Loader=yaml.CBaseLoader)
    return tuple(_normal(each) for each in documents)


def _normal(document: Any) -> Any:
    data = document["data"]
    for key in ("name", "stream", "context", "arch", "xmd"):
        if data.get(key) in ("", {}):
            del data[key]
    if data.get("buildopts") == {"rpms": {}}:
        del data["buildopts"]
    elif data.get("buildopts", {}).get("rpms") == {}:
        del data["buildopts"]["rpms"]
    return _sorted(data) | {"document": document["document"], "version": document["version"]}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        items = {key: _sorted(value[key]) for key in sorted(value)}
        return {key: each for key, each in items.items() if each or key not in OPTIONAL}
    # libmodulemd 2.14 reads an empty value like this; 2.15 has an empty list here.
    if value == [""]:
        return []
    return [_sorted(item) for item in value] if isinstance(value, list) else value
