"""Sources from the lookaside cache, checked by the digest in git."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from buildsys.base import TaskState, TaskStatus
from buildsys.local.sandbox import Limits, Stopped
from buildsys.local.sources import Allowance
from buildsys.local.system import LocalBuildSystem
from scm.options import ScmOptions
from tests.buildsys.packages import Bench, spec
from tests.gitrepos import make_repo

CONTENT = b"from the cache\n"
DIGEST = hashlib.sha512(CONTENT).hexdigest()
TEXT = spec("one", build="cat %{SOURCE0}").replace("License:", "Source0: words.txt\nLicense:")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address of the web server that shows it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path / "cache"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def endless() -> Iterator[str]:
    """The address of a web server whose files do not end within a minute."""

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(600):
                try:
                    self.wfile.write(bytes(1000))
                except OSError:
                    return
                time.sleep(0.1)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def build(
    tmp_path: Path, address: str, files: dict[str, str], limits: Limits | None = None
) -> tuple[Bench, TaskStatus]:
    bench = Bench(tmp_path / "local")
    options = ScmOptions(lookaside={tmp_path.as_uri(): address}, allow_private=True)
    bench.system = LocalBuildSystem(
        bench.root, send=lambda *_: None, jobs=1, scm=options, limits=limits or Limits()
    )
    commit = make_repo(tmp_path / "one", {"one.spec": TEXT, **files})
    return bench, bench.build(bench.job(2, "one", source=f"{(tmp_path / 'one').as_uri()}#{commit}"))


def test_a_source_comes_from_the_cache(tmp_path: Path, cache: tuple[Path, str]) -> None:
    folder, address = cache
    target = folder / "one" / "words.txt" / "sha512" / DIGEST / "words.txt"
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    bench, status = build(tmp_path, address, {"sources": f"SHA512 (words.txt) = {DIGEST}\n"})
    assert status.state is TaskState.COMPLETE, status.reason
    assert "\nfrom the cache\n" in bench.log(status.task_id)


def test_a_source_with_another_digest_is_refused(tmp_path: Path, cache: tuple[Path, str]) -> None:
    folder, address = cache
    (folder / "words.txt").write_bytes(b"something else\n")
    sources = {"sources": f"SHA512 (words.txt) = {DIGEST}\n"}
    _, status = build(tmp_path, address + "/{file}", sources)
    assert status.state is TaskState.FAILED
    assert "does not match the sha512 digest" in status.reason


def test_a_source_that_is_missing_in_the_cache_is_named_with_its_address(
    tmp_path: Path, cache: tuple[Path, str]
) -> None:
    _, address = cache
    _, status = build(tmp_path, address, {"sources": f"SHA512 (words.txt) = {DIGEST}\n"})
    assert status.state is TaskState.FAILED
    assert f"{address}/one/words.txt/sha512/{DIGEST}/words.txt" in status.reason
    assert "404" in status.reason


def test_a_source_that_is_in_git_too_is_not_asked_for(tmp_path: Path) -> None:
    files = {"sources": f"SHA512 (words.txt) = {DIGEST}\n", "words.txt": "from git\n"}
    bench, status = build(tmp_path, "http://127.0.0.1:9/{file}", files)
    assert status.state is TaskState.COMPLETE, status.reason
    assert "\nfrom git\n" in bench.log(status.task_id)


@pytest.mark.parametrize("name", ["../../escape", ".hidden", "a/b"])
def test_a_source_cannot_lie_outside_its_folder(tmp_path: Path, cache: tuple[Path, str], name: str) -> None:
    folder, address = cache
    for each in ("escape", ".hidden", "b"):
        (folder / each).write_bytes(CONTENT)
    sources = {"sources": f"SHA512 ({name}) = {DIGEST}\n"}
    build(tmp_path, address + "/{file}", sources)
    assert not list(tmp_path.rglob("local/**/escape"))
    assert not list(tmp_path.rglob("local/**/.hidden"))


@pytest.mark.parametrize(
    "line", ["SHA512 (folder/) = {}", f"SHA512 ({'x' * 256}) = {{}}", "SHAKE_128 (x) = {}"]
)
def test_a_line_that_lists_no_source_fails_its_component(
    tmp_path: Path, cache: tuple[Path, str], line: str
) -> None:
    folder, address = cache
    (folder / "x").write_bytes(CONTENT)
    _, status = build(tmp_path, address + "/{file}", {"sources": line.format(DIGEST)})
    assert status.state is TaskState.FAILED
    assert "Unexpected" not in status.reason


def test_sources_are_limited_by_the_disk_space_of_a_build(tmp_path: Path, cache: tuple[Path, str]) -> None:
    folder, address = cache
    names = [f"part{number}" for number in range(3)]
    for name in names:
        (folder / name).write_bytes(bytes(3 << 20))
    digest = hashlib.sha512(bytes(3 << 20)).hexdigest()
    sources = {"sources": "".join(f"SHA512 ({name}) = {digest}\n" for name in names)}
    _, status = build(tmp_path, address + "/{file}", sources, Limits(disk_bytes=8 << 20))
    assert "its sources need more disk space" in status.reason


def test_downloads_are_limited_by_the_duration_of_a_build(tmp_path: Path, endless: str) -> None:
    sources = {"sources": f"SHA512 (words.txt) = {DIGEST}\n"}
    _, status = build(tmp_path, endless + "/{file}", sources, Limits(seconds=1))
    assert "ran longer than the limit of 1 seconds" in status.reason


def test_a_download_ends_when_its_build_is_canceled(tmp_path: Path) -> None:
    allowance = Allowance.of(tmp_path, Limits(), time.monotonic() + 60, lambda: "it was canceled")
    with pytest.raises(Stopped, match="it was canceled"):
        allowance.take(1)
