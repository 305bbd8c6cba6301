"""Cookies of a service that shares its host with others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Sets each cookie of the service, as its middleware does, and prints their paths.
_PROGRAM = """
import json
import django
django.setup()
from django.conf import settings
settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
from django.contrib import messages
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.test import RequestFactory

def view(request):
    request.session["name"] = "value"
    messages.warning(request, "a secret")
    get_token(request)
    return HttpResponse()

for middleware in (CsrfViewMiddleware, MessageMiddleware, SessionMiddleware):
    view = middleware(view)
print(json.dumps({name: cookie["path"] for name, cookie in view(RequestFactory().get("/")).cookies.items()}))
"""


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://example.com", "/"),
        ("https://example.com/tools/mbs", "/tools/mbs"),
        ("https://example.com/tools/mbs/", "/tools/mbs"),
    ],
)
def test_other_services_of_the_host_do_not_get_the_cookies(base_url: str, path: str, tmp_path: Path) -> None:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MBS_")},
        "MBS_BASE_URL": base_url,
        "MBS_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"csrftoken": path, "sessionid": path}
