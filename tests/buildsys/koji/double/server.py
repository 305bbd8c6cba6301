"""The hub double as a server: HTTP, sessions, multicalls, uploads and faults."""

# ruff: noqa: N802  (names are the hub's)
from __future__ import annotations

import re
import secrets
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import koji
from koji.xmlrpcplus import Fault, dumps, getparser

from tests.buildsys.koji.double.builds import BuildCalls
from tests.buildsys.koji.double.faults import Faults
from tests.buildsys.koji.double.front import Front
from tests.buildsys.koji.double.imports import ImportCalls
from tests.buildsys.koji.double.repos import RepoCalls
from tests.buildsys.koji.double.state import Books, Row
from tests.buildsys.koji.double.tags import TagCalls
from tests.buildsys.koji.double.users import Caller, Session


class HubDouble(TagCalls, BuildCalls, RepoCalls, ImportCalls):
    """A hub on a free port of this machine, with a platform and the user ``mbs`` who may build modules.

    Attributes:
        faults: Faults, which may be changed at any time.
        books: The state of the hub.
        log: The methods of each HTTP request, in order.
    """

    def __init__(
        self,
        *,
        build_seconds: float = 0,
        repo_seconds: float = 0,
        tag_seconds: float = 0,
        wait_seconds: float = 0,
        port: int = 0,
        front: Front | None = None,
    ) -> None:
        self.faults = Faults()
        self.books = Books(
            self.faults,
            build_seconds=build_seconds,
            repo_seconds=repo_seconds,
            tag_seconds=tag_seconds,
            wait_seconds=wait_seconds,
        )
        self.lock = threading.RLock()
        self.sessions: dict[int, Session] = {}
        self.callers: dict[str, Caller] = {}
        self.log: list[list[str]] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.hub = self
        self.front = front
        if front:
            self._server.socket = front.wrap(self._server.socket)
        self._stopped = threading.Event()
        self._furnish()

    @property
    def url(self) -> str:
        port = self._server.server_address[1]
        # Certificates and tickets need a host name.
        return f"https://localhost:{port}/kojihub" if self.front else f"http://127.0.0.1:{port}/kojihub"

    def start(self) -> HubDouble:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        threading.Thread(target=self._work, daemon=True).start()
        return self

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def _work(self) -> None:
        """End tasks like builders do. Otherwise they would only end when a client makes a call."""
        while not self._stopped.wait(0.005):
            with self.lock:
                self.books.tick()

    def write_profile(self, path: Path, *, authtype: str = "password", **options: object) -> Path:
        """Write a configuration file of the Koji client with the profile ``koji``."""
        web, files = self.url.replace("kojihub", "koji"), self.url.replace("kojihub", "kojifiles")
        values = {"server": self.url, "weburl": web, "topurl": files, "authtype": authtype, **options}
        path.write_text("[koji]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
        return path

    def add_user(self, name: str, *permissions: str, srpms: bool = True) -> Caller:
        caller = Caller(next(self.books.ids["user"]), name, name, set(permissions))
        self.callers[name] = caller
        self.books.permissions |= caller.permissions
        self.books.users[name] = {"id": caller.id, "name": name, "srpms": srpms}
        return caller

    def remove_build(self, nvr: str) -> None:
        """Untag a build everywhere and delete it, as an administrator's cleanup does."""
        build = self.books.build(nvr)
        for tag in self.books.tags.values():
            for entry in tag.entries(build["id"]):
                entry[2] = self.books.changed(tag)
        self.deleteBuild(self.callers["kojiadmin"], nvr)

    def _furnish(self) -> None:
        admin = self.add_user("kojiadmin", "admin")
        self.add_user("mbs", "tag", "target", "module-tags", "repo")
        for name in ("platform-build", "f40-modular-updates-candidate", "modular-updates-candidate"):
            self.createTag(admin, name, arches="x86_64")
        for group in ("build", "srpm-build"):
            self.groupListAdd(admin, "platform-build", group)
            self.groupPackageListAdd(admin, "platform-build", group, "bash")
        self.books.btypes.add("module")
        self.books.generators["module-build-service"] = {"mbs"}

    # -- calls -------------------------------------------------------------------------------------------

    def dispatch(self, who: Caller, method: str, params: Any) -> Any:
        args, options = koji.decode_args(*params)
        if self.faults.watch:
            self.faults.watch(method, args)
        if self.faults.refuse.get(method):
            raise self.faults.refuse[method].pop(0)
        known = getattr(self, method.replace(".", "_"), None) if method in self.methods() else None
        if known is None:
            raise koji.GenericError(f"Invalid method: {method}")
        return known(who, *args, **options)

    def methods(self) -> list[str]:
        parts = (TagCalls, BuildCalls, RepoCalls, ImportCalls)
        names = [name for part in parts for name in vars(part) if not name.startswith(("_", "find_", "put"))]
        names = [name.replace("repo_", "repo.", 1) for name in names if name != "books"]
        if self.faults.old:
            names = [name for name in names if not name.startswith("repo.")]
        return [*names, "checkUpload", "system.listMethods"]

    def system_listMethods(self, who: Caller) -> list[str]:
        return self.methods()

    def answer(self, session: Session | None, method: str, params: Any) -> Any:
        """Return the answer to one HTTP request."""
        if method == "login":
            return self._login(*params)
        who = session.user if session else Caller()
        self.books.tick()
        if method != "multiCall":
            self.log.append([method])
            return self.dispatch(who, method, params)
        self.log.append([call["methodName"] for call in params[0]])
        results: list[Any] = []
        for call in params[0]:
            try:
                results.append([self.dispatch(who, call["methodName"], call["params"])])
            except Fault as fault:
                results.append({"faultCode": fault.faultCode, "faultString": fault.faultString})
            except Exception as error:  # noqa: BLE001  (each call has a savepoint of its own)
                code = getattr(error, "faultCode", 1)
                results.append({"faultCode": code, "faultString": str(error), "traceback": []})
        return results

    def _login(self, user: str, password: str, options: Row | None = None) -> Row:
        caller = self.callers.get(user)
        if caller is None or caller.password != password:
            raise koji.AuthError("invalid username or password")
        return self._new_session(caller)

    def login_by_front(self, user: str) -> Row:
        """Return the session of a user whom the web server has authenticated."""
        if user not in self.callers:
            raise koji.AuthError(f"Unknown user: {user}")
        return self._new_session(self.callers[user])

    def _new_session(self, caller: Caller) -> Row:
        number = next(self.books.ids["session"])
        self.sessions[number] = Session(caller, secrets.token_hex(8))
        return {"session-id": number, "session-key": self.sessions[number].key, "header-auth": True}

    def session(self, headers: Any, *, logs_in: bool = False) -> Session | None:
        """Return the session of a request; an expired one may only log in again.

        Raises:
            koji.AuthError: It is unknown or expired, or the request was made before.
        """
        if "Koji-Session-Id" not in headers:
            return None
        session = self.sessions.get(int(headers["Koji-Session-Id"]))
        if session is None or session.key != headers["Koji-Session-Key"]:
            raise koji.AuthError("Invalid session or bad credentials")
        if session.expired and not logs_in:
            raise koji.AuthExpired(f'session "{headers["Koji-Session-Id"]}" has expired')
        number = int(headers["Koji-Session-Callnum"])
        if number == session.last_call:
            raise koji.RetryError(f"unable to retry call {number}")
        if number < session.last_call:
            raise koji.SequenceError(f"{session.last_call} > {number} (session)")
        session.last_call = number
        return session

    def upload(self, session: Session | None, query: dict[str, list[str]], content: bytes) -> Row:
        who = session.user if session else Caller()
        who.needs_login()
        folder, name = query["filepath"][0], query["filename"][0]
        if self.books.uploaders.setdefault(folder, who.id) != who.id:
            raise koji.ActionNotAllowed(f"Directory {folder} belongs to another user")
        files = self.books.uploads.setdefault(folder, {})
        offset = int(query["offset"][0])
        files[name] = files.get(name, b"")[:offset] + content
        self.log.append(["rawUpload"])
        return {"size": len(content), "hexdigest": f"{zlib.adler32(content) & 0xFFFFFFFF:08x}"}

    def checkUpload(self, who: Caller, folder: str, name: str, verify: str | None = None) -> Row:
        content = self.books.uploads[folder][name]
        return {"size": len(content), "hexdigest": f"{zlib.adler32(content) & 0xFFFFFFFF:08x}"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: HubDouble


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes; with Nagle's algorithm the second would wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    user = ""
    server: _Server

    def log_message(self, *_: object) -> None:
        """Do nothing, since ``HubDouble.log`` has the requests."""

    def do_GET(self) -> None:
        """Answer for the file server: whole files, and ranges of them."""
        hub = self.server.hub
        content = hub.books.files.get(unquote(self.path).removeprefix("/kojifiles/"))
        hub.log.append([f"GET {self.path}"])
        if content is None or hub.faults.status != 200:
            return self.send_error(404 if hub.faults.status == 200 else hub.faults.status)
        part, status, said = content, 200, ""
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2]), len(content) - 1)
            part, status = content[first : last + 1], 206 if first < len(content) else 416
            said = f"bytes {f'{first}-{last}' if part else '*'}/{len(content)}"
        self.send_response(status)
        if said:
            self.send_header("Content-Range", said)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        return None

    def do_POST(self) -> None:
        hub, faults = self.server.hub, self.server.hub.faults
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(faults.delay)
        drop = faults.drop.pop(0) if faults.drop else ""
        if drop == "before":
            self._hang_up()
        elif self._must_prove():
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Negotiate")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif faults.status != 200:
            self.send_error(faults.status)
        else:
            with hub.lock:
                answer = self._answer(hub, body)
            self._send(answer, drop)

    def _must_prove(self) -> bool:
        """Return whether this is a login without authentication."""
        front = self.server.hub.front
        logs_in = self.path.partition("?")[0].endswith("/ssllogin")
        self.user = front.who(self.connection, self.headers) if front and logs_in else ""
        return logs_in and not self.user

    def _answer(self, hub: HubDouble, body: bytes) -> bytes:
        try:
            if hub.faults.offline:
                raise koji.ServerOffline("database outage")
            query = parse_qs(urlsplit(self.path).query)
            if "filename" in query:
                result: Any = hub.upload(hub.session(self.headers), query, body)
            else:
                parser, reader = getparser()
                parser.feed(body)
                parser.close()
                params, method = reader.close(), reader.getmethodname()
                session = hub.session(self.headers, logs_in=method in ("login", "sslLogin"))
                result = hub.login_by_front(self.user) if self.user else hub.answer(session, method, params)
            return dumps((result,), methodresponse=True, allow_none=True).encode()
        except Fault as fault:
            return dumps(fault).encode()
        except Exception as error:  # noqa: BLE001  (a hub answers whatever goes wrong in it)
            return dumps(Fault(getattr(error, "faultCode", 1), str(error))).encode()

    def _send(self, answer: bytes, drop: str) -> None:
        if drop == "after":
            return self._hang_up()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer[: len(answer) // 2] if drop == "half" else answer)
        if drop == "half":
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(2)
