"""Celery's settings, with their reasons."""

from datetime import timedelta

from django.conf import settings
from kombu import Queue

_mbs = settings.MBS
#: Sweeps that call the build system or the hosts of subscribers, and hang if these hang, or that ask workers.
_POLLS = (
    *("open_builds", "failed_builds", "open_repos", "lost_tags", "old_targets", "old_failures"),
    *("subscriptions", "build_system", "samples"),
)

broker_url = _mbs.BROKER_URL
# Chords count their parts in the result backend. Only Redis can do so without polling.
result_backend = _mbs.BROKER_URL
# A worker that starts before its broker waits for it.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None

# workflow: steps of builds. sweeps: periodic tasks, which must not wait behind steps. polls: sweeps that call
# the build system. checks: calls of git. builds: local builds. Each of the last three has its own workers.
task_queues = [Queue(name, routing_key=name) for name in ("workflow", "sweeps", "polls", "checks", "builds")]
task_default_queue = "workflow"
task_routes = {
    **{f"sweep.{name}": {"queue": "polls"} for name in _POLLS},
    "sweep.*": {"queue": "sweeps"},
    "poll.*": {"queue": "polls"},
    "check.*": {"queue": "checks"},
    "builder.*": {"queue": "builds"},
}

# Acknowledge a message when its task has ended, so that the tasks of a killed worker are delivered again.
task_acks_late = True
task_reject_on_worker_lost = True
# With late acknowledgement, a prefetched message could wait behind a long task while other workers are idle.
# Steps of builds are short, so workers of the queue workflow are started with --prefetch-multiplier=4.
worker_prefetch_multiplier = 1
# Steps park instead of waiting, so a step that runs this long hangs.
task_soft_time_limit = 240
task_time_limit = 300
# visibility_timeout: seconds after which Redis delivers an unacknowledged message to another worker. It must
# exceed every countdown and local build, otherwise a running build would be delivered again.
# socket_timeout: without it, requests to the web server would hang if Redis does.
broker_transport_options = {"visibility_timeout": 24 * 3600, "socket_timeout": 10}
result_backend_transport_options = {"retry_policy": {"timeout": 5.0}}

# Results are not read. Chords are counted regardless, and can be open for as long as their slowest build.
task_ignore_result = True
result_expires = timedelta(days=1)
result_chord_expires = timedelta(days=30)

# Task arguments are numbers and texts. Formats that can execute code, such as pickle, are not accepted.
task_serializer = "json"
accept_content = ["json"]
result_serializer = "json"

# Keep database connections between tasks. ``config.celery`` closes broken ones.
CELERY_DB_REUSE_MAX = 10**9

# A process imports the bus client when it starts, which takes some seconds if several do so at once.
worker_proc_alive_timeout = 60
# Replace processes after this many tasks, in case they leak memory.
worker_max_tasks_per_child = 10_000
worker_hijack_root_logger = False
timezone = "UTC"


def _every(name: str, seconds: float) -> dict[str, object]:
    """Return the schedule of a sweep.

    Sweeps expire after a day. A shorter time would depend on the clocks of two machines: see
    ``builds.workflow.sweeps.run``.
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
    "failed builds": _every("failed_builds", _mbs.POLLING_INTERVAL),
    "open repos": _every("open_repos", _mbs.POLLING_INTERVAL),
    "outbox": _every("outbox", _mbs.OUTBOX_INTERVAL),
    "subscriptions": _every("subscriptions", _mbs.OUTBOX_INTERVAL),
    "lost tags": _every("lost_tags", _mbs.POLLING_INTERVAL),
    "old targets": _every("old_targets", 3600.0),
    "old failures": _every("old_failures", 3600.0),
    "stuck builds": _every("stuck_builds", 3600.0),
    "clean up": _every("clean_up", 3600.0),
    "samples": _every("samples", _mbs.POLLING_INTERVAL),
    "predictions": _every("predictions", _mbs.POLLING_INTERVAL),
    "forecast": _every("forecast", _mbs.POLLING_INTERVAL),
    "build system": _every("build_system", _mbs.POLLING_INTERVAL),
}
