"""Configuration of Flower: ``celery -A config.celery flower --conf=config/flower.py`` (``make flower``).

Its names are Flower's options; an address that the command line or the environment (``FLOWER_ADDRESS``) names
is kept.
"""

import re
import sys
from ipaddress import ip_address

from django.conf import settings
from flower import urls
from flower.views.tasks import TaskView
from tornado.escape import xhtml_escape
from tornado.options import options
from tornado.web import url

address = options.address or "127.0.0.1"
# A step of a build says by its arguments which build it is for, and by its name what it does.
tasks_columns = "name,args,state,received,started,runtime,worker,uuid"
# Operators act in the admin, which records who did what.
read_only = True
natural_time = True

_ADMITTED = options.basic_auth or options.auth or options.auth_provider
try:
    _is_local = ip_address(address).is_loopback
except ValueError:
    _is_local = address == "localhost"
if not _is_local and not _ADMITTED:
    sys.exit(
        f"Flower would show everything to everybody at {address}.\n"
        "Leave FLOWER_ADDRESS out (then only this machine can), or set FLOWER_BASIC_AUTH to user:password."
    )


_BUILDS = f"{settings.MBS.BASE_URL}/builds/"
_SHOWN = re.compile(re.escape(xhtml_escape(_BUILDS).encode()) + rb"\d+")


def format_task(task):
    """Put the address of the page of the module build behind the arguments."""
    build = re.match(r"[(\[](\d+),", str(task.args))
    if build and task.name.startswith("workflow."):
        task.args = f"{task.args} {_BUILDS}{build[1]}"
    return task


class LinkingTaskView(TaskView):
    """The page of a task. Flower escapes all text; the addresses of builds become links again."""

    def render_string(self, template_name, **values):
        page = super().render_string(template_name, **values)
        return _SHOWN.sub(rb'<a href="\g<0>">\g<0></a>', page)


# Flower has no setting for its pages.
urls.handlers[:] = [
    url(entry.regex.pattern, LinkingTaskView, name="task") if getattr(entry, "name", "") == "task" else entry
    for entry in urls.handlers
]
