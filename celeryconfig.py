"""How Celery behaves here; each line with its reason."""

from datetime import timedelta

from django.conf import settings
from kombu import Queue

_mbs = settings.MBS
#: sweeps that ask the build system, which may hang
_POLLS = ("open_builds", "open_repos", "lost_tags", "old_targets", "old_failures")

broker_url = _mbs.BROKER_URL
# Chords count their parts in the result backend. Only Redis does it without polling.
result_backend = _mbs.BROKER_URL
# A worker that starts before its broker waits for it instead of dying.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None

# Steps of builds; periodic work that must not queue up behind them, nor behind what asks the build system and
# may hang with it (polls); questions to git (checks); real builds, by workers of their own.
task_queues = [Queue(name, routing_key=name) for name in ("workflow", "sweeps", "polls", "checks", "builds")]
task_default_queue = "workflow"
task_routes = {
    **{f"sweep.{name}": {"queue": "polls"} for name in _POLLS},
    "sweep.*": {"queue": "sweeps"},
    "check.*": {"queue": "checks"},
    "builder.*": {"queue": "builds"},
}

# A message is gone only when its task has ended: a worker that dies gives its work back.
task_acks_late = True
task_reject_on_worker_lost = True
# With late acknowledgement a prefetched message would wait behind a long task although others are idle.
# Steps of builds are short: workers that do nothing else are started with --prefetch-multiplier=4.
worker_prefetch_multiplier = 1
# No step waits for anything long (it parks): one that runs this long hangs.
task_soft_time_limit = 240
task_time_limit = 300
# Redis gives a message that was not acknowledged to another worker after this time (seconds). It must be
# longer than any countdown and any local build, or a build would be delivered twice while it runs.
# A Redis that says nothing is away: without the second one a request to the web server would hang with it.
broker_transport_options = {"visibility_timeout": 24 * 3600, "socket_timeout": 10}
result_backend_transport_options = {"retry_policy": {"timeout": 5.0}}

# Nobody reads results; a chord is counted all the same. It may be open for as long as its slowest build.
task_ignore_result = True
result_expires = timedelta(days=1)
result_chord_expires = timedelta(days=30)

# Task arguments are numbers and words: nothing that could be executed is ever accepted.
task_serializer = "json"
accept_content = ["json"]
result_serializer = "json"

# Connections to the database are kept between tasks; ``config.celery`` drops the broken ones.
CELERY_DB_REUSE_MAX = 10**9

# A process imports the client of the bus when it begins, which takes some seconds while others do so too.
worker_proc_alive_timeout = 60
# A process that leaked is replaced after this many tasks.
worker_max_tasks_per_child = 10_000
worker_hijack_root_logger = False
timezone = "UTC"


def _every(name: str, seconds: float) -> dict[str, object]:
    """A sweep. What waits for workers longer than a day is dropped.

    A shorter time would compare the clocks of two machines: see ``builds.workflow.sweeps.run``.
    """
    return {
        "task": f"sweep.{name}",
        "args": (seconds,),
        "schedule": seconds,
        "options": {"expires": 24 * 3600},
    }


beat_schedule = {
    "lost work": _every("lost_work", _mbs.SWEEP_INTERVAL),
    "stuck waits": _every("stuck_waits", _mbs.SWEEP_INTERVAL),
    "open builds": _every("open_builds", _mbs.POLLING_INTERVAL),
    "open repos": _every("open_repos", _mbs.POLLING_INTERVAL),
    "outbox": _every("outbox", _mbs.OUTBOX_INTERVAL),
    "lost tags": _every("lost_tags", _mbs.POLLING_INTERVAL),
    "old targets": _every("old_targets", 3600.0),
    "old failures": _every("old_failures", 3600.0),
    "stuck builds": _every("stuck_builds", 3600.0),
    "clean up": _every("clean_up", 3600.0),
}
