"""Files of local builds: logs and repositories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from builds.web import outcome, results
from builds.web.results import File
from buildsys.local.streams import StreamFolder

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    """The folder of the local build system, with a secret beside it."""
    settings.MBS = settings.MBS.model_copy(update={"SYSTEM": "local", "DATA_DIR": tmp_path})
    (tmp_path / "secret").write_text("secret")
    task = tmp_path / "local" / "tasks" / "101"
    (task / "work").mkdir(parents=True)
    (task / "build.log").write_text("it was built\n")
    (task / "work" / "page.html").write_text("<script>")
    (task / "a b?.html").write_text("<script>alert(1)</script>")
    return task


def text(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def test_a_log_is_shown_as_text(client: Client, folder: Path) -> None:
    response = client.get("/results/tasks/101/build.log")
    assert text(response) == "it was built\n"
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Length"] == "13"


def test_a_large_file_is_never_in_memory_as_a_whole(client: Client, folder: Path) -> None:
    (folder / "large.log").write_bytes(b"x" * (2 * File.block_size + 1))
    response = client.get("/results/tasks/101/large.log")
    assert [len(piece) for piece in response.streaming_content] == [File.block_size, File.block_size, 1]


def test_a_folder_of_very_many_files_is_listed_in_part(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MAX_NAMES", 10)
    (folder / "rpms").mkdir()
    for number in range(30):
        (folder / "rpms" / f"file{number}").touch()
    page = client.get("/results/tasks/101/rpms").content.decode()
    assert page.count('href="/results/tasks/101/rpms/file') == 10
    assert "Only 10 names are shown" in page


@pytest.mark.parametrize("name", ["work", "views", "lock", ".hidden", "quiet"])
def test_the_repository_of_a_stream_is_served_whatever_its_module_is_called(
    client: Client, folder: Path, name: str
) -> None:
    root = folder.parent.parent
    stream = StreamFolder(root, name, name).platform("el9")
    stream.repo.mkdir(parents=True)
    (stream.repo / "x.txt").write_text("there")
    response = client.get(f"/results/{quote(str(stream.repo.relative_to(root)))}/x.txt")
    assert response.status_code == 200
    assert text(response) == "there"


def test_a_folder_is_listed_with_links_that_lead_there(client: Client, folder: Path) -> None:
    page = client.get("/results/tasks/101").content.decode()
    assert 'href="/results/tasks/101/build.log"' in page
    assert "work" not in page
    link = page.split('href="')[2].split('"')[0]
    assert "script" in text(client.get(link))


def test_a_page_that_was_built_does_not_run_in_a_browser(client: Client, folder: Path) -> None:
    response = client.get("/results/tasks/101/a%20b%3F.html")
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Security-Policy"].startswith("sandbox;")
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "tasks/../../secret",
        "..%2fsecret",
        "tasks/101/%2e%2e/%2e%2e/%2e%2e/secret",
        "//etc/passwd",
        "tasks/101/work/page.html",
        "tasks/101/build.log%00",
        "tasks/102",
        "tasks//101",
    ],
)
def test_nothing_else_is_shown(client: Client, folder: Path, path: str) -> None:
    assert client.get(f"/results/{path}").status_code == 404


def test_links_are_followed_inside_the_folder_only(client: Client, folder: Path) -> None:
    (folder / "log").symlink_to("build.log")
    (folder / "out").symlink_to("../../../secret")
    (folder / "up").symlink_to("../../..")
    (folder / "hidden").symlink_to("work")
    assert text(client.get("/results/tasks/101/log")) == "it was built\n"
    for name in ("out", "up", "up/secret", "hidden", "hidden/page.html"):
        assert client.get(f"/results/tasks/101/{name}").status_code == 404, name


def test_a_pipe_does_not_hang_the_server(client: Client, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert client.get("/results/tasks/101/pipe").status_code == 404


def test_other_build_systems_have_no_results_here(client: Client, folder: Path, settings: Any) -> None:
    settings.MBS = settings.MBS.model_copy(update={"SYSTEM": "simulated"})
    assert client.get("/results/").status_code == 404


def test_no_file_stays_open(client: Client, folder: Path) -> None:
    for path in ("tasks/101", "tasks/101/build.log", "tasks/101/work", "tasks/nothing"):
        response = client.get(f"/results/{path}")
        response.close()
    opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    assert not [path for path in opened if path.startswith(str(folder))]


def test_documents_that_are_kept_in_memory_are_few() -> None:
    kept = outcome._content.cache_info().maxsize
    assert kept is not None
    assert kept * outcome._MAX_DOCUMENT <= 32 << 20
