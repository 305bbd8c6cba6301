"""Settings of Flower: ``celery -A config.celery flower --conf=config/flower.py`` (``make flower``).

The names are Flower's options. An address from the command line or from ``FLOWER_ADDRESS`` is kept.
"""

import re
import sys
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from flower import urls
from flower.views.tasks import TaskView
from tornado.escape import xhtml_escape
from tornado.options import options
from tornado.web import url

address = options.address or "127.0.0.1"
# The first argument of a workflow task is the id of its build.
tasks_columns = "name,args,state,received,started,runtime,worker,uuid"
# Operators act in the admin, which records their actions.
read_only = True
natural_time = True

_ADMITTED = options.basic_auth or options.auth or options.auth_provider
try:
    _is_local = ip_address(address).is_loopback
except ValueError:
    _is_local = address == "localhost"
if not _is_local and not _ADMITTED:
    sys.exit(
        f"Flower at {address} would be readable for everyone.\n"
        "Unset FLOWER_ADDRESS to listen on this machine only, or set FLOWER_BASIC_AUTH to user:password."
    )


_BUILDS = f"{settings.MBS.BASE_URL}/builds/"
_SHOWN = re.compile(re.escape(xhtml_escape(_BUILDS).encode()) + rb"\d+")


def format_task(task: Any) -> Any:
    """Append the address of the build's page to the arguments."""
    build = re.match(r"[(\[](\d+),", str(task.args))
    if build and task.name.startswith("workflow."):
        task.args = f"{task.args} {_BUILDS}{build[1]}"
    return task


class LinkingTaskView(TaskView):
    """The page of a task, with links to builds.

    Flower escapes all text, so the links are added afterwards.
    """

    def render_string(self, template_name: str, **values: Any) -> bytes:
        """Return the page."""
        page: bytes = super().render_string(template_name, **values)
        return _SHOWN.sub(rb'<a href="\g<0>">\g<0></a>', page)


# Flower has no setting that replaces a view.
urls.handlers[:] = [
    url(entry.regex.pattern, LinkingTaskView, name="task") if getattr(entry, "name", "") == "task" else entry
    for entry in urls.handlers
]
