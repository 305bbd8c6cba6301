"""Real front servers, which run the examples of the documents."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ROOT, free_port, wait_for

#: The address of the service in the examples, without its scheme.
HOST = "mbs.example.com"
_PROGRAMS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules")
#: Modules of Apache that an installation loads anyway, then those that the documents name.
_LOADED = (
    *("mpm_event", "unixd", "authn_core", "authz_core", "authz_user"),
    *("ssl", "headers", "proxy", "proxy_http", "auth_gssapi"),
)
_NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{example}
}}
"""
_APACHE = """\
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
ServerName localhost
{modules}
<IfModule unixd_module>
    User "#65534"
    Group "#65534"
</IfModule>
Listen 127.0.0.1:{port}
{example}
"""


def example(document: str, language: str, number: int = 0) -> str:
    """Return a block of a document.

    Args:
        document: Name of the file in docs/.
        language: Language of the block.
        number: Place among the blocks of this language, from 0.
    """
    text = (ROOT / "docs" / document).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[number]


def missing(server: str) -> str:
    """Return why a front cannot be run here; empty when it can.

    Args:
        server: nginx, apache, or auth_gssapi for Apache with that module.
    """
    if server == "nginx":
        return "" if shutil.which("nginx", path=_PROGRAMS) else "nginx is not installed"
    if not _apache():
        return "Apache is not installed"
    if server != "apache" and not _module(server):
        return f"Apache's module {server} is not installed"
    return ""


def _apache() -> str | None:
    return shutil.which("apache2", path=_PROGRAMS) or shutil.which("httpd", path=_PROGRAMS)


def _module(name: str) -> Path | None:
    paths = (Path(folder) / f"mod_{name}.so" for folder in _MODULES)
    return next((path for path in paths if path.exists()), None)


@contextmanager
def front(
    language: str, text: str, folder: Path, behind: int, changes: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run an example with a certificate of its own, and yield its port.

    Args:
        language: nginx or apache.
        text: The example, which differs from the document in addresses and paths only.
        folder: Where its files are.
        behind: Port of the service.
        changes: Further texts of the example to replace.
    """
    port = free_port()
    folder.chmod(0o755)
    _certificate(folder)
    replaced = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "*:443": f"127.0.0.1:{port}",
        "127.0.0.1:8000": f"127.0.0.1:{behind}",
        "/etc/ssl/certs/mbs.pem": f"{folder}/cert.pem",
        "/etc/ssl/private/mbs.key": f"{folder}/key.pem",
        **(changes or {}),
    }
    for old, new in replaced.items():
        text = text.replace(old, new)
    configuration = folder / "front.conf"
    if language == "nginx":
        configuration.write_text(_NGINX.format(folder=folder, example=text))
        command = [str(shutil.which("nginx", path=_PROGRAMS)), "-p", str(folder), "-c", str(configuration)]
    else:
        found = [(name, path) for name in _LOADED if (path := _module(name))]
        modules = "\n".join(f"LoadModule {name}_module {path}" for name, path in found)
        configuration.write_text(_APACHE.format(folder=folder, port=port, modules=modules, example=text))
        command = [str(_apache()), "-f", str(configuration), "-D", "FOREGROUND"]
    with (folder / "front.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: _listens(port) or server.poll() is not None, 30, "the front")
        assert server.poll() is None, (folder / "front.log").read_text()
        yield port
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _certificate(folder: Path) -> None:
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:localhost"]
    files = ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
