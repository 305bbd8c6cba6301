"""The supervisor, with small shell programs instead of the service."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mbs.client.up.child import Program
from mbs.client.up.log import Log
from mbs.client.up.supervisor import RestartPolicy, Supervisor
from tests.processes import is_alive

FOREVER = "exec sleep 60"
IMPATIENT = RestartPolicy(first=0.01, longest=0.05, quick=5, deaths=3)


def shell(name: str, script: str, **more: object) -> Program:
    return Program(name, ("/bin/sh", "-c", script), **more)


def stop_me() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def stop_when(path: Path, text: str) -> None:
    wait_for(lambda: text in path.read_text())
    stop_me()


def run(folder: Path, *programs: Program, on_ready: Callable[[], None] = stop_me) -> tuple[bool, list[str]]:
    """Run programs until ``on_ready`` has them stopped; answers the result and the log."""
    stream = io.StringIO()
    log = Log(stream, [program.name for program in programs])
    supervisor = Supervisor(
        programs, log, environment=dict(os.environ), folder=folder, on_ready=on_ready, restarts=IMPATIENT
    )
    return supervisor.run(), stream.getvalue().splitlines()


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_lines_of_all_are_shown_behind_aligned_names(tmp_path: Path) -> None:
    good, lines = run(
        tmp_path,
        shell("web", "echo one; echo two >&2; printf three", once=True),
        shell("workflow", FOREVER, needs=("web",)),
    )
    assert good
    assert lines == ["web      | one", "web      | two", "web      | three", "mbs      | Stopping."]


def test_programs_start_when_what_they_need_is_ready_and_stop_before_it(tmp_path: Path) -> None:
    trap = "trap 'echo {0} ends >>log; exit' TERM; echo {0} starts >>log; touch {0}; "
    trap += "while :; do sleep 0.02; done"
    broker = shell("broker", trap.format("broker"), ready=lambda: (tmp_path / "broker").exists())
    setup = shell("setup", "sleep 0.2; echo setup ended >>log", once=True)
    worker = shell(
        "worker",
        trap.format("worker"),
        needs=("broker", "setup"),
        ready=lambda: (tmp_path / "worker").exists(),
    )
    assert run(tmp_path, worker, broker, setup)[0]
    assert (tmp_path / "log").read_text().splitlines() == [
        "broker starts",
        "setup ended",
        "worker starts",
        "worker ends",
        "broker ends",
    ]


def test_program_that_starts_after_another_may_stop_after_it_too(tmp_path: Path) -> None:
    runs = "trap '{1}; exit' TERM; echo {0} starts >>log; while :; do sleep 0.02; done"
    end = "echo web ends >>log"
    web = shell("web", runs.format("web", end), ready=lambda: "web" in (tmp_path / "log").read_text())
    end = "until grep -q web.ends log; do sleep 0.02; done; echo beat ends >>log"
    beat = shell("beat", runs.format("beat", end), after=("web",), grace=30)
    (tmp_path / "log").touch()
    assert run(tmp_path, beat, web, on_ready=lambda: stop_when(tmp_path / "log", "beat starts"))[0]
    log = (tmp_path / "log").read_text().splitlines()
    assert log == ["web starts", "beat starts", "web ends", "beat ends"]


def test_a_program_is_ready_when_its_check_succeeds(tmp_path: Path) -> None:
    worker = shell(
        "worker", f"echo starting; sleep 0.3; touch worker; echo I am ready.; {FOREVER}", says=" ready."
    )
    client = shell("client", "ls worker", needs=("worker",), once=True)
    good, lines = run(tmp_path, worker, client)
    assert good
    assert lines[:3] == ["worker | starting", "worker | I am ready.", "client | worker"]


def test_program_that_dies_is_started_again(tmp_path: Path) -> None:
    script = "echo x >>starts; [ $(wc -l <starts) -lt 3 ] && kill -9 $$; touch up; " + FOREVER
    good, lines = run(tmp_path, shell("worker", script, ready=lambda: (tmp_path / "up").exists()))
    assert good
    assert [line for line in lines if "killed" in line] == [
        "mbs    | worker was killed by SIGKILL; restarting in 0.01 s.",
        "mbs    | worker was killed by SIGKILL; restarting in 0.02 s.",
    ]


def test_after_many_quick_deaths_it_gives_up_and_stops_the_others(tmp_path: Path) -> None:
    good, lines = run(
        tmp_path,
        shell("worker", "echo x >>starts; exit 7"),
        shell("other", f"echo $$ >pid; {FOREVER}"),
        on_ready=lambda: None,
    )
    assert not good
    assert lines[-1] == "mbs    | worker ended 3 times in a row: giving up."
    assert (tmp_path / "starts").read_text().count("x") == 3
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_failed_set_up_ends_the_service_before_other_programs_start(tmp_path: Path) -> None:
    good, lines = run(
        tmp_path,
        shell("migrate", "echo no table; exit 1", once=True),
        shell("web", "touch web", needs=("migrate",)),
    )
    assert not good
    assert lines == [
        "migrate | no table",
        "mbs     | migrate ended with exit code 1: the service cannot start.",
    ]
    assert not (tmp_path / "web").exists()


def test_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    good, lines = run(tmp_path, Program("redis", ("/no/such/program",)))
    assert not good
    assert "redis cannot be started" in lines[-1]


def test_program_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; touch up; while :; do sleep 0.05; done"
    stubborn = shell("web", script, grace=0.3, ready=lambda: (tmp_path / "up").exists())
    began = time.monotonic()
    assert run(tmp_path, stubborn)[0]
    assert 0.3 <= time.monotonic() - began < 50  # the others have a minute


def test_second_request_does_not_wait(tmp_path: Path) -> None:
    script = "trap '' TERM; touch up; while :; do sleep 0.05; done"
    stubborn = shell("web", script, grace=60, ready=lambda: (tmp_path / "up").exists())

    def twice() -> None:
        stop_me()
        stop_me()

    assert run(tmp_path, stubborn, on_ready=twice)[0]


def test_children_of_a_program_end_with_it(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! >pid; touch up; {FOREVER}"
    assert run(tmp_path, shell("web", script, ready=lambda: (tmp_path / "up").exists()))[0]
    wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_flood_of_output_is_shown_whole_and_its_control_characters_are_not(tmp_path: Path) -> None:
    script = r"yes 'x\y' | head -20000; printf '\033[2Jend\007\n'"
    _, lines = run(tmp_path, shell("web", script, once=True))
    assert sum(line == r"web | x\y" for line in lines) == 20000
    assert r"web | \x1b[2Jend\x07" in lines


def test_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    _, lines = run(tmp_path, shell("web", "head -c 300000 /dev/zero | tr '\\0' x", once=True))
    assert len(lines) > 2
    assert sum(line.count("x") for line in lines) == 300000


def test_a_closed_output_stops_the_service(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = shell("web", f"echo $$ >pid; echo hello; {FOREVER}")
    with open(writing, "w") as stream:
        log = Log(stream, ["web"])
        supervisor = Supervisor([program], log, environment=dict(os.environ), folder=tmp_path)
        assert supervisor.run()
    assert not is_alive(int((tmp_path / "pid").read_text()))


SCRIPT = """
    import os, sys
    from pathlib import Path
    from mbs.client.up.child import Program
    from mbs.client.up.log import Log
    from mbs.client.up.supervisor import Supervisor
    programs = [Program(name, ("/bin/sh", "-c", f"echo $$ >{name}; exec sleep 60")) for name in "ab"]
    log = Log(sys.stdout, ["a", "b"])
    good = Supervisor(programs, log, environment=dict(os.environ), folder=Path(sys.argv[1])).run()
    sys.exit(0 if good else 3)
"""


def restore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start_supervisor(folder: Path, **more: object) -> tuple[subprocess.Popen[str], list[int]]:
    """A supervisor of its own, and the numbers of its two children."""
    command = (sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder))
    # The tests themselves may have been started where Ctrl-C or a hangup is ignored.
    options = {"stdout": subprocess.PIPE, "text": True, "preexec_fn": restore_signals, **more}
    process = subprocess.Popen(command, **options)
    files = [folder / "a", folder / "b"]
    wait_for(lambda: all(file.exists() and file.read_text().endswith("\n") for file in files))
    return process, [int(file.read_text()) for file in files]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process, children = start_supervisor(tmp_path)
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == "mbs | Stopping.\n"
    assert process.returncode == 0
    assert not any(map(is_alive, children))


def test_children_die_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    process, children = start_supervisor(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not any(map(is_alive, children)))


def test_ignored_hangup_stays_ignored(tmp_path: Path) -> None:
    process, children = start_supervisor(
        tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert all(map(is_alive, children))
    process.terminate()
    assert process.wait(timeout=60) == 0
    assert process.stdout is not None
    process.stdout.close()


def test_terminal_gets_colours_unless_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    coloured, plain = Terminal(), Terminal()
    Log(coloured, ["web"]).write("web", "hello")
    monkeypatch.setenv("NO_COLOR", "1")
    Log(plain, ["web"]).write("web", "hello")
    assert coloured.getvalue() != plain.getvalue() == "web | hello\n"
    assert "\x1b[" in coloured.getvalue()
