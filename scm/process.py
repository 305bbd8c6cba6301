"""Run git through GitPython with limits on time, memory, output and disk."""

from __future__ import annotations

import os
import re
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from git import Git

from scm.hosts import Pin
from scm.options import ScmOptions

_ERROR_BYTES = 8192
_SAID = re.compile(r"^(?:fatal|error|remote|ssh): *(.+)$", re.MULTILINE)

#: The complete configuration for git. Nothing is checked out, so hooks, filters and submodules do not run.
_CONFIG = """\
[core]
\thooksPath = /dev/null
\tbigFileThreshold = 16m
\tpackedGitLimit = 256m
[credential]
\thelper =
[fetch]
\tunpackLimit = 1
\trecurseSubmodules = no
[gc]
\tauto = 0
[http]
\tfollowRedirects = false
\tlowSpeedLimit = 1000
\tlowSpeedTime = 30
[maintenance]
\tauto = false
[protocol]
\tversion = 2
"""


class GitFailed(Exception):
    """A git command failed.

    Args:
        said: git's message, printable and shortened.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class GitTimeout(GitFailed):
    """The time for the repository is over; git was killed."""


class GitOutputTooLarge(GitFailed):
    """git's output or repository exceeded its limit; git was killed."""


class GitRunner:
    """Runs git commands in a bare repository.

    Args:
        folder: Folder for the repository and its configuration.
        transport: The only transport that git may use.
        ends: Time by which all commands must have ended (monotonic clock).
        pinned: Addresses to connect to; None to let git resolve the host.
    """

    def __init__(
        self, folder: Path, transport: str, options: ScmOptions, ends: float, pinned: Pin | None = None
    ) -> None:
        self._options = options
        self._deadline = ends
        self.git_dir = folder / "git"
        self._git = Git(str(folder))
        self._environment = _environment(_write_config(folder, options, pinned), transport, pinned)
        self.run("init", "--quiet", "--bare", "--template=", str(self.git_dir))

    def run(self, *arguments: str, limit: int = 65536) -> bytes:
        """Run a git command and return its standard output.

        Args:
            limit: Max bytes of output.

        Raises:
            GitFailed: The command failed.
            GitTimeout: It took too long and was killed.
            GitOutputTooLarge: It exceeded a limit and was killed.
        """
        command = [*_without_inherited_settings(), "git", f"--git-dir={self.git_dir}", *arguments]
        running = self._git.execute(command, as_process=True, env=self._environment, start_new_session=True)
        process = cast("subprocess.Popen[bytes]", running.proc)
        try:
            self._bound(process.pid)
            output, said = self._read(process, limit)
            status = process.wait(max(0.0, self._deadline - time.monotonic()))
        except BaseException as error:
            _kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise GitTimeout(f"not done after {self._options.timeout:.3g} seconds") from None
            raise
        finally:
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        if status == 0:
            return output
        if self._hit_file_bound():
            raise GitOutputTooLarge(f"over {self._options.max_pack} bytes on disk")
        raise GitFailed(_clean(said) or f"git {arguments[0]} ended with status {status}")

    def _bound(self, pid: int) -> None:
        """Limit git and the processes that it starts. git stores a fetched repository in one file."""
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (self._options.max_pack,) * 2)
            resource.prlimit(pid, resource.RLIMIT_AS, (self._options.max_memory,) * 2)
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))

    def _hit_file_bound(self) -> bool:
        """Return whether a file reached its size limit. git does not report this, but keeps the file."""
        packs = self.git_dir.glob("objects/pack/*")
        return any(path.stat().st_size >= self._options.max_pack for path in packs)

    def _read(self, process: subprocess.Popen[bytes], limit: int) -> tuple[bytes, bytes]:
        """Return all of standard output and the end of standard error."""
        assert process.stdout is not None
        assert process.stderr is not None
        output, said = bytearray(), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, output)
            selector.register(process.stderr, selectors.EVENT_READ, said)
            while selector.get_map():
                left = self._deadline - time.monotonic()
                ready = selector.select(left) if left > 0 else []
                if not ready:
                    raise subprocess.TimeoutExpired("git", self._options.timeout)
                for key, _ in ready:
                    chunk = os.read(key.fd, 65536)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    key.data.extend(chunk)
                if len(output) > limit:
                    raise GitOutputTooLarge(f"over {limit} bytes")
                del said[:-_ERROR_BYTES]
        return bytes(output), bytes(said)


def _write_config(folder: Path, options: ScmOptions, pinned: Pin | None) -> Path:
    path = folder / "gitconfig"
    quoted = (
        '"' + place.replace("\\", "\\\\").replace('"', '\\"') + '"' for place in options.safe_directories
    )
    safe = "[safe]\n" + "".join(f"\tdirectory = {place}\n" for place in quoted)
    path.write_text(_CONFIG + safe + (pinned.config() if pinned else ""))
    return path


def _environment(config: Path, transport: str, pinned: Pin | None = None) -> Mapping[str, str]:
    ssh = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oClearAllForwardings=yes"
    return {
        "GIT_ALLOW_PROTOCOL": transport,
        # Empty, not unset: if unset, git tries the next program.
        "GIT_ASKPASS": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": f"{ssh} {pinned.ssh_options()}" if pinned else ssh,
        "GIT_TERMINAL_PROMPT": "0",
        **(pinned.environment() if pinned else {}),
    }


def _without_inherited_settings() -> Sequence[str]:
    """Return a command prefix that unsets inherited GIT_ variables, all of which GitPython passes on."""
    inherited = [name for name in os.environ if name.startswith("GIT_")]
    kept = _environment(Path(), "").keys()
    return ["env", *(f"--unset={name}" for name in inherited if name not in kept)] if inherited else []


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill git and the processes that it started, whose process group exists until git is reaped."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _clean(said: bytes) -> str:
    """Return the lines of git's output that describe the fault, printable."""
    text = said.decode("utf-8", "replace")
    lines = [line.strip().rstrip(".") for line in _SAID.findall(text) or text.splitlines()]
    telling = [line for line in lines if line and line != "Could not read from remote repository"] or lines
    return "".join(letter for letter in "; ".join(telling) if letter.isprintable())[:300]
