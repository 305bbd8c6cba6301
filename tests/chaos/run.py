"""One run: start the deployment, inject faults while modules build, wait for the end, check, report."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg2
import redis

from tests.builds.messaging.rabbitmq import RabbitMQ
from tests.chaos import report
from tests.chaos.deployment import CONFIG, Deployment
from tests.chaos.faults import Faults
from tests.chaos.hub import Bus, ChaosHub
from tests.chaos.modules import PLATFORM, Client, PlannedModule, plan_modules
from tests.chaos.servers import FaultyRedis, Postgres
from tests.processes import ROOT, free_port

#: Size in MiB of the file system that the fault ``disk_full`` fills.
DISK = 256
#: Name of the queue that receives all messages of the service.
SPY = "chaos.spy"
#: Seconds after which a failed build can be resumed in any case. The lease of a process that died ends after
#: ``builds.services.lease.SECONDS``; the rest is for components that are still being stopped.
_STOPPING = 120
_OPEN = """
    SELECT (SELECT count(*) FROM builds_modulebuild WHERE state IN (0, 1, 2, 3) AND name <> 'platform'),
           (SELECT count(*) FROM builds_outboxmessage WHERE published_at IS NULL),
           (SELECT count(*) FROM builds_wait),
           (SELECT count(*) FROM builds_componentbuild WHERE state = 0)
"""


@dataclass(frozen=True)
class Options:
    """The options of a run.

    Attributes:
        size: Modules to submit.
        seconds: Time with faults.
        components: Min and max number of components of a module.
        faults: Kinds of faults; empty for all.
        pace: Min and max seconds between two faults.
        quiet: Max seconds until all builds have ended after the faults.
        most_runs: Max runs of ``build_component`` per component.
    """

    size: int
    seconds: float
    seed: int
    components: tuple[int, int] = (10, 30)
    faults: Collection[str] = ()
    pace: tuple[float, float] = (0.5, 3.0)
    quiet: float = 240.0
    slots: int = 40
    most_runs: float = 4.0


class Run:
    """One run; implements ``tests.chaos.kinds.World`` and ``tests.chaos.checks.Run``."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.slots = options.slots
        self.modules = plan_modules(options.size, options.seed, options.components)
        self.facts: dict[str, Any] = {}
        self.violations: list[str] = []
        self.received: list[tuple[str, str, Any]] = []
        self.disk: Path | None = None
        self._by_name = {(module.name, str(module.version)): module for module in self.modules}
        self._begun = time.monotonic()
        self._longest_queue = 0
        self._stack = ExitStack()

    def say(self, text: str) -> None:
        """Print a line with the seconds since the run began, and append it to ``journal.log``."""
        line = f"{time.monotonic() - self._begun:7.1f} {text}"
        print(line, flush=True)
        with (self.folder / "journal.log").open("a") as journal:
            journal.write(line + "\n")

    def module_of(self, name: str, version: str) -> PlannedModule:
        """Return the module that a build belongs to.

        Args:
            version: Version of the build: the base module's number, then the module's version.
        """
        return next(
            module
            for (known, number), module in self._by_name.items()
            if known == name and version == f"40{number}"
        )

    def violation(self, text: str) -> None:
        """Record a violated invariant."""
        self.violations.append(text)
        if len(self.violations) <= 50:
            self.say(f"VIOLATION: {text}")

    # -- start and end -------------------------------------------------------------------------------------

    def __enter__(self) -> Run:
        with self._stack:
            self._start()
            # Everything is running; from now on, __exit__ stops it.
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        for name in ("logs", "work", "data", "postgresql", "rabbitmq"):
            (self.folder / name).mkdir()
        self._mount_disk()
        self.postgres = Postgres(self.folder / "postgresql")
        self._stack.callback(self.postgres.stop)
        self.postgres.start()
        self.redis = self._stack.enter_context(FaultyRedis())
        self.rabbit = RabbitMQ(self.folder / "rabbitmq")
        self._stack.callback(self.rabbit.stop)
        self.rabbit.start()
        self.rabbit.declare(SPY, "org.fedoraproject.prod.mbs.#")
        self.hub = ChaosHub(self.options.seed).start()
        self._stack.callback(self.hub.stop)
        self.hub.write_profile(self.folder / "koji.conf")
        self.bus = Bus(self.rabbit.url, self.options.seed)
        self._stack.callback(lambda: setattr(self.bus, "over", True))
        self.hub.books.listeners.append(self.bus.tell)
        self.bus.start()
        self._start_service()

    def _mount_disk(self) -> None:
        """Put data and temporary files on a small file system for ``disk_full``; only root can mount one."""
        if os.geteuid() != 0:
            return
        self.disk = self.folder / "work"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "chaos", self.disk], check=True)
        self._stack.callback(subprocess.run, ["umount", "--lazy", self.disk], check=False)
        (self.folder / "data").rmdir()
        (self.disk / "data").mkdir()
        (self.folder / "data").symlink_to(self.disk / "data")

    def _start_service(self) -> None:
        port = free_port()
        config = CONFIG.format(
            secret="chaos" * 12,
            database=self.postgres.url,
            broker=self.redis.url,
            folder=self.folder,
            port=port,
            slots=self.slots,
        )
        (self.folder / "config.py").write_text(config)
        environ = {
            "MBS_CONFIG_FILE": str(self.folder / "config.py"),
            "MBS_CONFIG_SECTION": "prod",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "FEDORA_MESSAGING_CONF": str(self._bus_config()),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder / "work"),
        }
        for name in [name for name in os.environ if name.startswith("MBS_")]:
            del os.environ[name]
        os.environ |= environ
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        (self.folder / "platform.yaml").write_text(PLATFORM)
        call_command("import_module", str(self.folder / "platform.yaml"))
        self.client = Client(port)
        self.deployment = Deployment(self.folder, environ, port, Path(environ["FEDORA_MESSAGING_CONF"]))
        self._stack.callback(self.deployment.stop)
        self.deployment.start()

    def _bus_config(self) -> Path:
        """Write the configuration of deploy/ with the addresses of this run."""
        text = (ROOT / "deploy" / "fedora-messaging.toml").read_text()
        text = re.sub(r"(?m)^amqp_url = .*", f'amqp_url = "{self.rabbit.url}"', text)
        text = re.sub(r"(?ms)^\[tls\]\n.*?\n\n", "", text)
        text = text.replace("port = 8010", f"port = {free_port()}")
        path = self.folder / "bus.toml"
        path.write_text(text)
        return path

    # -- the run -------------------------------------------------------------------------------------------

    def inject_faults(self) -> None:
        """Submit all modules and inject faults at the same time."""
        self.bus.shares = (0.05, 0.1, 0.2)
        self.faults = Faults(self, self.options.seed, self.options.faults)
        submitting = threading.Thread(target=self._submit_all, daemon=True)
        submitting.start()
        watching = threading.Thread(target=self._watch_queue, daemon=True)
        watching.start()
        self.faults.run(self.options.seconds, self.options.pace)
        self.say("no more faults")
        submitting.join(180)
        if submitting.is_alive():
            self.violation("the submissions did not end")

    def _submit_all(self) -> None:
        """Submit the modules in five parts, spread over the time of the faults."""
        dice, begun = random.Random(self.options.seed + 1), time.monotonic()
        size = max(1, -(-len(self.modules) // 5))
        for part in range(5):
            time.sleep(max(0.0, begun + part * self.options.seconds * 0.7 / 5 - time.monotonic()))
            for module in self.modules[part * size : (part + 1) * size]:
                try:
                    owner = f"owner{dice.randrange(5)}"
                    if not self.client.submit(module, owner, begun + self.options.seconds + 120):
                        self.violation(f"{module.name} could not be submitted")
                except RuntimeError as error:
                    self.violation(str(error))
            self.say(f"part {part + 1} of 5 is submitted")

    def _watch_queue(self) -> None:
        while not self.bus.over:
            with suppress(redis.RedisError):
                self._longest_queue = max(self._longest_queue, int(self.redis.client().llen("workflow")))
            time.sleep(0.5)

    def settle(self) -> None:
        """Wait until all builds have ended, check, resume all failed builds, and check again."""
        self.hub.behave()
        self.bus.shares = (0.0, 0.0, 0.0)
        self.deployment.let_run()
        self.facts["seconds until the end after the faults"] = self._rest()
        self._check("after the faults")
        self._retry_all()
        self.facts["seconds until the end after the retries"] = self._rest()
        self._check("after the retries")

    def _rest(self) -> float:
        """Wait until all builds have ended and each sweep has run once more; return the seconds."""
        begun, shown = time.monotonic(), 0.0
        while not self._at_rest():
            if time.monotonic() - begun > self.options.quiet:
                self.violation(f"not ended after {self.options.quiet:.0f} s: {self._under_way()}")
                break
            if time.monotonic() > shown + 10:
                shown = time.monotonic()
                self.say(
                    f"builds, outbox rows, waits, slots: {self._under_way()}; hub: {self.hub.open_builds()}"
                )
            time.sleep(0.5)
        rested = time.monotonic() - begun
        begun_at = self._query("SELECT now()")[0][0]
        sweeps = "SELECT count(*) FROM builds_sweep WHERE started_at < %s"
        end = time.monotonic() + 30
        while time.monotonic() < end and self._query(sweeps, begun_at)[0][0]:
            time.sleep(0.5)
        return rested

    def _query(self, sql: str, *values: Any) -> Any:
        return self.postgres.query(sql, *values)

    def _under_way(self) -> Any:
        with suppress(psycopg2.Error):
            return self._query(_OPEN)[0]

    def _at_rest(self) -> bool:
        rows = self._under_way()
        return rows is not None and not any(rows) and not self.hub.open_builds()

    def _retry_all(self) -> None:
        """Resume every failed build that can succeed: no fault may prevent that permanently."""
        from django.db import connection

        from builds.models import ModuleBuild
        from mbs.states import BuildState

        connection.close()
        for build in ModuleBuild.objects.filter(state=BuildState.FAILED):
            module = self.module_of(build.name, build.version)
            if module.bad:
                continue
            module.canceled.clear()
            status, answer = self._retry(build.pk, build.owner)
            if status != 200:
                self.violation(f"build {build.pk} cannot be resumed: {status} {answer}")

    def _retry(self, build: int, owner: str) -> tuple[int, Any]:
        """Resume a build; repeat while a dead worker's lease prevents it."""
        end = time.monotonic() + _STOPPING
        while True:
            status, answer = self.client.send("POST", f"module-builds/{build}/retry", {"owner": owner})
            if answer.get("code") != "still_stopping" or time.monotonic() > end:
                return status, answer
            time.sleep(5)

    def _check(self, when: str) -> None:
        from django.db import connection

        from tests.chaos.checks import CHECKS

        self.received += [
            (topic, properties.message_id, body) for topic, properties, body in self.rabbit.drain(SPY)
        ]
        connection.close()
        for each in CHECKS:
            for text in each(self):
                self.violation(f"{when}, {each.__name__}: {text}")

    # -- report --------------------------------------------------------------------------------------------

    def report(self) -> None:
        """Print the statistics and write them to ``report.json``."""
        happened = [fault for fault in self.faults.journal if fault.happened]
        runs, tasks = report.task_runs(self.folder / "logs"), self.hub.builds()
        components = len({(task.request[1], task.request[2].get("mbs_artifact_name")) for task in tasks})
        each = runs["workflow.build_component"] / max(1, components)
        if each > self.options.most_runs:
            self.violation(f"{each:.1f} runs of build_component for each component")
        by_kind: dict[str, list[float]] = defaultdict(list)
        for _, what, seconds, _ in self.client.requests:
            by_kind[what].append(seconds)
        self.facts |= {
            "faults": dict(Counter(fault.kind for fault in happened).most_common()),
            "seconds until every build has changed": report.recovery(self.postgres, happened),
            "components built": components,
            "runs of build_component for each component": each,
            "runs of tasks": dict(runs.most_common(12)),
            "longest queue": self._longest_queue,
            "messages of the service": len(self.received),
            "messages that arrived twice": len(self.received)
            - len({number for _, number, _ in self.received}),
            "messages of the hub": self.bus.counts,
            "requests to the hub with faults": self.hub.disturbed,
            "deadlocks in PostgreSQL": self.postgres.deadlocks(),
            "REST seconds": {
                what: {"median": statistics.median(all_), "worst": max(all_)}
                for what, all_ in by_kind.items()
            },
            "restarts": {process.name: process.restarts for process in self.deployment.processes.values()},
            "ended without a fault": {
                process.name: process.spontaneous
                for process in self.deployment.processes.values()
                if process.spontaneous
            },
            "tracebacks in the logs": dict(report.tracebacks(self.folder / "logs").most_common(20)),
            "violations": len(self.violations),
        }
        kept = {
            "options": asdict(self.options),
            "facts": self.facts,
            "violations": self.violations,
            "faults": [asdict(fault) for fault in self.faults.journal],
        }
        (self.folder / "report.json").write_text(json.dumps(kept, indent=1, default=str))
        # Violations once more at the end, since a long log may be cut.
        for line in [*report.lines(self.facts), *self.violations[:50]]:
            self.say(line)


def remove_data(folder: Path) -> None:
    """Remove the data of the servers; keep logs and report."""
    for name in ("postgresql", "rabbitmq", "work", "data"):
        path = folder / name
        remove: Callable[[Path], object] = Path.unlink if path.is_symlink() else shutil.rmtree
        with suppress(OSError):
            remove(path)
