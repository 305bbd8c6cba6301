"""Sources from the lookaside cache, checked by the digest in git."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from buildsys.base import TaskState, TaskStatus
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


def build(tmp_path: Path, address: str, files: dict[str, str]) -> tuple[Bench, TaskStatus]:
    bench = Bench(tmp_path / "local")
    options = ScmOptions(lookaside={tmp_path.as_uri(): address}, allow_private=True)
    bench.system = LocalBuildSystem(bench.root, send=lambda *_: None, jobs=1, scm=options)
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
