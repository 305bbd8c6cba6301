"""Parts of pages that a process of the web server loads when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.template import Engine, Template
from django.template.loaders import cached

from config import preloading

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


def test_a_template_that_cannot_be_compiled_does_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"\xff")
    (tmp_path / "b.html").write_text("{% unknown %}")
    (tmp_path / "c.html").symlink_to("gone.html")
    (tmp_path / "d.html").mkdir()
    (tmp_path / "e.html").write_text("{{ good }}")
    engine = Engine(dirs=[tmp_path])
    preloading._compile(engine, tmp_path)
    (loader,) = engine.template_loaders
    assert isinstance(loader, cached.Loader)
    assert [key for key, found in loader.get_template_cache.items() if isinstance(found, Template)] == [
        "e.html"
    ]
