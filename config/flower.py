"""Configuration of Flower: ``celery -A config.celery flower --conf=config/flower.py`` (``make flower``).

Its names are Flower's options; an address that the command line or the environment (``FLOWER_ADDRESS``) names
is kept.
"""

import re
import sys
from ipaddress import ip_address

from django.conf import settings
from tornado.options import options

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


def format_task(task):
    """Put the address of the module build behind the arguments. Flower shows text: it makes no link of it."""
    build = re.match(r"[(\[](\d+),", str(task.args))
    if build and task.name.startswith("workflow."):
        task.args = f"{task.args} {settings.MBS.BASE_URL}/module-build-service/2/module-builds/{build[1]}"
    return task
