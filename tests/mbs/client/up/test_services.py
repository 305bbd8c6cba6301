"""Requirements, preparation and child environments of ``mbs up``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from mbs.client.address import Running, lock, publish
from mbs.client.cli import main
from mbs.client.up import needs, services
from mbs.client.up.command import run
from mbs.errors import Conflict


def executable(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_embedded_redis_works_only_with_the_password_and_on_this_machine(tmp_path: Path) -> None:
    with services.listen(None) as web:
        listener = services.Loopback(web)
    services.configure_redis(tmp_path, listener)
    server = subprocess.Popen((needs.find_redis(), tmp_path / "redis.conf"), cwd=tmp_path)
    try:
        end = time.monotonic() + 10
        while not listener.redis_answers():
            assert time.monotonic() < end
            time.sleep(0.02)
        url = (tmp_path / "broker-url").read_text().strip()
        with redis.Redis.from_url(url) as client:
            assert client.ping()
            assert client.config_get("save") == {"save": ""}
            port = client.connection_pool.connection_kwargs["port"]
        with redis.Redis(host="127.0.0.1", port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        server.terminate()
        server.wait(10)
    assert [path.name for path in tmp_path.glob("*.rdb")] == []


def test_secrets_are_only_for_their_user(tmp_path: Path) -> None:
    services.configure_redis(tmp_path, services.Private(tmp_path))
    assert {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {
        "redis.conf": 0,
        "broker-url": 0,
    }


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_redis_is_the_one_of_the_system(only: Path, name: str) -> None:
    server = executable(only / name)
    assert needs.find_redis() == server


def test_missing_redis_is_reported_with_the_command_that_installs_it(only: Path) -> None:
    executable(only / "apt-get")
    with pytest.raises(needs.Missing) as caught:
        needs.find_redis()
    assert "apt-get install --yes redis-server" in caught.value.hint


def test_all_missing_programs_are_named_with_one_command_that_installs_them(
    only: Path, tmp_path: Path
) -> None:
    for name in ("git", "tar", "gcc", "make", "rpmbuild", "rpm2archive", "apt-get"):
        executable(only / name)
    with pytest.raises(needs.Missing) as caught:
        needs.check_machine("local", tmp_path)
    said = " ".join(problem.message for problem in caught.value.problems)
    assert "createrepo_c" in said
    assert "rpmbuild" not in said
    assert caught.value.hint.count("apt-get install --yes createrepo-c") == 1


def test_other_build_systems_ask_nothing_of_the_machine(only: Path, tmp_path: Path) -> None:
    needs.check_machine("simulated", tmp_path)


def test_port_that_was_asked_for_and_is_taken_is_named(tmp_path: Path) -> None:
    with services.listen(None) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"Port {port} "):
            services.listen(port)


def test_next_free_port_is_found() -> None:
    with services.listen(None) as first, services.listen(None) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
        assert first.getsockname()[0] == second.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("damaged", ["", "x", "-1", "99999999"])
def test_port_of_last_time_is_taken_again_unless_it_is_none(tmp_path: Path, damaged: str) -> None:
    with services.web_socket(tmp_path, services.free_port()) as first:
        port = first.getsockname()[1]
    with services.web_socket(tmp_path, None) as second:
        assert second.getsockname()[1] == port
    (tmp_path / "port").write_text(damaged)
    with services.web_socket(tmp_path, None) as third:
        assert third.getsockname()[1] > 0


def test_children_get_folder_and_addresses_and_no_setting_of_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MBS_TOKEN", "secret")
    monkeypatch.setenv("MBS_SERVER", "http://elsewhere")
    monkeypatch.setenv("MBS_NUM_CONCURRENT_BUILDS", "3")
    with services.listen(None) as web:
        services.configure_redis(tmp_path, services.Loopback(web))
    found = services.environment(tmp_path, "http://127.0.0.1:8080")
    assert {name: value for name, value in found.items() if name.startswith("MBS_")} == {
        "MBS_CONFIG_SECTION": "standalone",
        "MBS_CONFIG_FILE": "",
        "MBS_DATA_DIR": str(tmp_path),
        "MBS_BASE_URL": "http://127.0.0.1:8080",
        "MBS_BROKER_URL": (tmp_path / "broker-url").read_text().strip(),
        "MBS_NUM_CONCURRENT_BUILDS": "3",
    }


def test_section_that_the_user_chose_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBS_CONFIG_SECTION", "dev")
    services.configure_redis(tmp_path, services.Private(tmp_path))
    assert services.environment(tmp_path, "http://h")["MBS_CONFIG_SECTION"] == "dev"


def test_second_service_on_a_folder_does_not_start(tmp_path: Path) -> None:
    held = lock(tmp_path)
    publish(Running("http://127.0.0.1:4711", 99, str(tmp_path)))
    with pytest.raises(Conflict, match=r"http://127.0.0.1:4711 \(process 99\)"):
        run(tmp_path, None)
    os.close(held)


def test_server_that_answers_nothing_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not services.is_healthy(silent.getsockname()[1])


@pytest.mark.parametrize(("text", "expected"), [("3", 3), ("0", None), ("", None), ("x", None)])
def test_builds_at_once_are_the_cores_unless_chosen(text: str, expected: int | None) -> None:
    assert services.cores({"MBS_LOCAL_BUILD_JOBS": text}) == (expected or len(os.sched_getaffinity(0)))


def test_the_command_never_loads_django() -> None:
    code = "import sys, mbs.client.cli; sys.exit('django' in sys.modules)"
    assert subprocess.run((sys.executable, "-c", code), cwd=services.HOME).returncode == 0


def test_a_private_service_has_no_port(tmp_path: Path) -> None:
    for option in (["--port", "8080"], ["--flower"]):
        done = CliRunner().invoke(main, ["up", "--private", "--data", str(tmp_path), *option])
        assert done.exit_code == 2
        assert "--private cannot be combined" in done.output


def test_sockets_are_in_a_folder_that_others_cannot_enter_and_of_which_one_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(services, "MAX_RUNTIME", 1000)
    with services.socket_folder(tmp_path) as killed:
        (killed / services.WEB_SOCKET).touch()
        assert killed.parent == tmp_path
        assert killed.stat().st_mode & 0o077 == 0
        with services.socket_folder(tmp_path) as present:
            assert not killed.exists()
            listener = services.Private(present)
            assert not listener.redis_answers()
            assert not listener.web_is_healthy()
    assert not present.exists()


def test_a_long_runtime_folder_is_not_used_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * services.MAX_RUNTIME)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with services.socket_folder(tmp_path) as folder:
        assert len(str(folder / services.REDIS_SOCKET)) < 108
