"""Another service in memory, with one module, for tests of downloads. Its answers can be changed at will."""

from __future__ import annotations

import gzip
import hashlib
import platform
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx

from mbs.nsvc import NSVC

ARCH = platform.machine()
MODULE = NSVC("base", "1", "92026", "c0ffee12")
TAG = MODULE.koji_tag()
BUILD = "one-1.0-1.module+el9"
DOCUMENT = """\
document: modulemd
version: 2
data:
  name: base
  stream: '1'
  version: 92026
  context: c0ffee12
  summary: A module
  description: A module of a test.
  license: {module: [MIT]}
  dependencies:
  - {buildrequires: {platform: [el9]}, requires: {platform: [el9]}}
  profiles: {default: {rpms: [one]}}
  components: {rpms: {one: {rationale: needed}}}
"""
SPEC = """\
Name: one
Version: 1.0
Release: 1.module+el9
Summary: A package
License: MIT
BuildArch: noarch
%description
A package of a test.
%install
mkdir -p %{buildroot}/usr/bin
echo one > %{buildroot}/usr/bin/one
%files
/usr/bin/one
"""
PACKAGE = """\
<package type="rpm"><name>{name}</name><arch>{arch}</arch><version epoch="0" ver="1.0" rel="1.module+el9"/>
<checksum type="{kind}" pkgid="YES">{digest}</checksum><size package="{size}"/><location href="{href}"/>
<format><rpm:sourcerpm>{source}.src.rpm</rpm:sourcerpm></format></package>
"""
PRIMARY = """\
<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"
 packages="1">{packages}</metadata>
"""
INDEX = """\
<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">
<checksum type="{kind}">{digest}</checksum><location href="{href}"/></data></repomd>
"""


def streamed(content: bytes, **headers: str) -> httpx.Response:
    """Return an answer that the client has not read yet."""
    return httpx.Response(200, headers=headers, stream=httpx.ByteStream(content))


def build_rpm(folder: Path) -> bytes:
    """Build the package and return its RPM."""
    (folder / "one.spec").write_text(SPEC)
    defines = [f"--define=_topdir {folder}", f"--define=_rpmdir {folder}"]
    subprocess.run(["rpmbuild", "-bb", *defines, str(folder / "one.spec")], check=True, capture_output=True)
    return next(folder.glob("noarch/*.rpm")).read_bytes()


class Other:
    """The service. ``files`` are the answers by path; ``asked`` the URLs of the requests.

    Attributes:
        server: Its URL.
        build: The representation of its module.
    """

    def __init__(self, rpm: bytes, server: str = "https://mbs.example.com") -> None:
        self.server = server
        self.rpm = rpm
        self.files: dict[str, bytes | httpx.Response] = {}
        self.asked: list[str] = []
        self.build: dict[str, Any] = {
            "id": 4,
            "name": MODULE.name,
            "stream": MODULE.stream,
            "version": MODULE.version,
            "context": MODULE.context,
            "state_name": "ready",
            "koji_tag": TAG,
            "modulemd": DOCUMENT,
            "tasks": {"rpms": {"one": {"nvr": BUILD, "state": 1}}},
            "repository_url": None,
            "topdir": f"{server}/results/modules/{TAG}/repo",
        }
        self.publish("/results/modules/" + TAG + "/repo")
        self.transport = httpx.MockTransport(self._answer)

    def publish(self, folder: str, *, packages: str | None = None, **changes: object) -> None:
        """Publish the repository in a folder; changes are of the fields of its metadata."""
        listed = packages if packages is not None else self.package(**changes)
        self.publish_list(folder, gzip.compress(PRIMARY.format(packages=listed).encode()))
        self.files[f"{folder}/one.rpm"] = self.rpm

    def publish_list(self, folder: str, packed: bytes, **changes: object) -> None:
        """Publish a list of packages and an index of it."""
        facts = {
            "kind": "sha256",
            "digest": hashlib.sha256(packed).hexdigest(),
            "href": "repodata/primary.xml.gz",
        } | changes
        self.files[f"{folder}/repodata/primary.xml.gz"] = packed
        self.files[f"{folder}/repodata/repomd.xml"] = INDEX.format(**facts).encode()

    def package(self, **changes: object) -> str:
        """Return the entry of the RPM, with changes."""
        facts: dict[str, object] = {
            "name": "one",
            "arch": "noarch",
            "kind": "sha256",
            "digest": hashlib.sha256(self.rpm).hexdigest(),
            "size": len(self.rpm),
            "href": "one.rpm",
            "source": BUILD,
        }
        return PACKAGE.format(**facts | changes)

    @property
    def repo(self) -> str:
        """Return the path of the repository."""
        return f"/results/modules/{TAG}/repo"

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        path = request.url.path
        if path.endswith("/module-builds/"):
            query = dict(parse_qsl(request.url.query.decode()))
            fits = all(query[key] == self.build[key] for key in ("name", "stream", "version"))
            return httpx.Response(200, json={"items": [self.build] if fits else [], "meta": {}})
        answer = self.files.get(path)
        if answer is None:
            return httpx.Response(404)
        return answer if isinstance(answer, httpx.Response) else streamed(answer)
