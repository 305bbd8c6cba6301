"""Read spec files without letting rpm run any code in them.

``scm.specs_child`` parses the files in another process. One process reads many files, because starting it
takes longer than reading a file. If a file kills the process, a new one is started for the next file.
"""

from __future__ import annotations

import codecs
import importlib.util
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import basename, dirname
from typing import Any

from mbs.errors import ConfigurationError
from scm.errors import ScmError
from scm.options import ScmOptions

_CHILD = Path(__file__).with_name("specs_child.py")
_MAX_ANSWER = 64 * 1024 * 1024
#: Max files that one spec file may include.
MAX_INCLUSIONS = 10
#: Byte order marks of UTF-16.
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_INCLUSION = re.compile(r"^[ \t]*(?:%include[ \t]+(\S+)|%\{load:[ \t]*(%\{[^{}]+\}|[^{}\s]+))", re.MULTILINE)
_SOURCE = re.compile(r"^[ \t]*source([0-9]*)[ \t]*:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_SOURCE_MACRO = re.compile(r"%\{?(?:SOURCE([0-9]+)|S:([0-9]+))\}?")
_HINTS = {
    "spec_invalid": "Correct the spec file; `rpmspec --parse` shows what rpm makes of it.",
    "spec_incomplete": "Every spec file needs Name, Version and Release.",
    "spec_over_bounds": "Make the macros of the spec file simpler.",
}


@dataclass(frozen=True)
class SourceFile:
    """A source or a patch of a spec file.

    Attributes:
        tag: ``Source0``, ``Patch12``, ...
        value: File name or url, with known macros expanded.
        conditional: Whether it is inside an ``%if`` or depends on macros of the build environment, so that a
            build may not need it.
    """

    tag: str
    value: str
    conditional: bool = False

    @property
    def name(self) -> str:
        """The file's name: the text after the last slash, as in rpm."""
        return self.value.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Spec:
    """The preamble of a spec file, with known macros expanded.

    Attributes:
        buildrequires: One requirement each: ``name``, ``name >= version`` or a rich dependency in
            parentheses.
        packages: Names of the binary packages that it declares, the main package first.
        name_certain: Whether the name is independent of the build environment.
        dist: Whether the release contains ``%dist``, as far as can be determined without rpm.
        warnings: Values that are only known at build time.
    """

    name: str
    version: str
    release: str
    epoch: str = ""
    sources: tuple[SourceFile, ...] = ()
    patches: tuple[SourceFile, ...] = ()
    buildrequires: tuple[str, ...] = ()
    buildarches: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    dist: bool = True
    name_certain: bool = False
    warnings: tuple[str, ...] = ()


class SpecReader(AbstractContextManager["SpecReader"]):
    """Reads spec files within limits, not thread-safe.

    Create it early, because its process then starts while other work goes on. ``options.spec_deadline``
    begins with the first file.
    """

    def __init__(self, options: ScmOptions) -> None:
        self._options = options
        self._deadline: float | None = None
        self._child = self._start()

    def __exit__(self, *_: object) -> None:
        self._stop()

    def read(self, content: bytes, path: str, included: Mapping[str, bytes] | None = None) -> Spec:
        """Parse a spec file.

        Args:
            path: Path of the file, for messages.
            included: Argument of ``%include`` or ``%{load:}`` -> content of the file; see ``inclusions``.

        Raises:
            ScmError: ``spec_invalid``, ``spec_incomplete``, ``spec_over_bounds``.
        """
        if content.startswith(_UTF_16):
            raise _refused(path, "spec_invalid", "it is UTF-16, but rpm reads only UTF-8")
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._options.spec_deadline
        left = min(self._options.spec_timeout, self._deadline - now)
        if left <= 0:
            raise _refused(path, "spec_over_bounds", "reading other spec files took too long")
        request = {
            "text": _decoded(content),
            "stem": PurePosixPath(path).stem,
            "macros": dict(self._options.macros),
            "included": {name: _decoded(file) for name, file in (included or {}).items()},
        }
        answer = self._ask(json.dumps(request).encode() + b"\n", left)
        if answer is None:
            raise _refused(path, "spec_over_bounds", self._bounds())
        if "spec" not in answer:
            raise _refused(path, answer["code"], answer["reason"])
        return _spec(answer["spec"])

    def _ask(self, request: bytes, seconds: float) -> dict[str, Any] | None:
        """Return the child's answer, or None if the child died."""
        if self._child.poll() is not None:
            self._child = self._start()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        watchdog = threading.Timer(seconds, self._child.kill)
        watchdog.start()
        try:
            self._child.stdin.write(request)
            self._child.stdin.flush()
            line = self._child.stdout.readline(_MAX_ANSWER)
        except BrokenPipeError:
            line = b""
        finally:
            watchdog.cancel()
        if line.endswith(b"\n"):
            return dict(json.loads(line))
        self._stop()
        return None

    def _bounds(self) -> str:
        options = self._options
        return (
            f"reading it takes more than {options.spec_cpu} s of processor time, {options.spec_timeout:g} s"
            f" by the clock, or {options.spec_memory // 2**20} MiB of memory"
        )

    def _start(self) -> subprocess.Popen[bytes]:
        found = importlib.util.find_spec("norpm")
        if found is None or found.origin is None:
            raise ConfigurationError("The Python package norpm is missing.", hint="Install the requirements.")
        bounds = (str(self._options.spec_cpu), str(self._options.spec_memory))
        return subprocess.Popen(
            [sys.executable, "-S", "-s", "-P", "-B", str(_CHILD), *bounds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PYTHONPATH": str(Path(found.origin).parents[1]), "PYTHONUTF8": "1"},
        )

    def _stop(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(BrokenPipeError):
                if pipe:
                    pipe.close()


def inclusions(content: bytes, files: Iterable[str]) -> dict[str, str]:
    """Return the files of the same commit that a spec file includes, at most ``MAX_INCLUSIONS``.

    Args:
        files: Paths in the commit.

    Returns:
        Name as written in the spec file, for example ``%{SOURCE1}`` -> path.
    """
    text = _decoded(content)
    sources = {number or "0": basename(name) for number, name in _SOURCE.findall(text)}
    paths = {basename(path): path for path in files if dirname(path) in ("", "SOURCES", "SPECS")}
    found = {}
    for match in _INCLUSION.finditer(text):
        token = match[1] or match[2]
        number = _SOURCE_MACRO.fullmatch(token)
        name = sources.get(number[1] or number[2], "") if number else basename(token)
        if name in paths:
            found[token] = paths[name]
    return dict(list(found.items())[:MAX_INCLUSIONS])


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\0", "")


def _refused(path: str, code: str, reason: str) -> ScmError:
    return ScmError(
        f"The spec file {path} cannot be used: {reason}.",
        code=code,
        tried="reading it with norpm",
        hint=_HINTS.get(code, ""),
    )


def _spec(answer: dict[str, Any]) -> Spec:
    files = [SourceFile(*file) for file in answer["files"]]
    return Spec(
        name=answer["name"],
        version=answer["version"],
        release=answer["release"],
        epoch=answer["epoch"],
        sources=tuple(file for file in files if file.tag.startswith("Source")),
        patches=tuple(file for file in files if file.tag.startswith("Patch")),
        buildrequires=tuple(answer["buildrequires"]),
        buildarches=tuple(answer["buildarches"]),
        packages=tuple(answer["packages"]),
        dist=bool(answer["dist"]),
        name_certain=bool(answer["name_certain"]),
        warnings=tuple(answer["warnings"]),
    )
