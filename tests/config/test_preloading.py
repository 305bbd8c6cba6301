"""Parts of pages that a process of the web server loads when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

#: Answers a request like a new process of the web server; prints its status, and the files opened meanwhile.
FIRST_VIEW = """
import io, json, sys
from config.wsgi import application
opened, answered = [], []
environ = {
    "REQUEST_METHOD": "GET", "PATH_INFO": sys.argv[1], "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1:8000", "HTTP_ACCEPT": "text/html",
    "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http",
}
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
response = application(environ, lambda status, headers: answered.append(status))
b"".join(response)
print(json.dumps([answered[0], opened]))
"""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/login", "200 OK"),
        ("/admin/login/", "200 OK"),
        ("/module-build-service/2/docs/", "200 OK"),
        ("/unknown", "404 Not Found"),
    ],
)
def test_the_first_view_of_a_page_reads_no_template_and_imports_no_view(path: str, status: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_VIEW, path],
        env={**os.environ, "MBS_BASE_URL": "http://127.0.0.1:8000"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answered, opened = json.loads(done.stdout.splitlines()[-1])
    assert answered == status
    assert [name for name in opened if name.endswith(".html") or "/builds/" in name] == []
