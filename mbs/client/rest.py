"""A client for the REST API (docs/contract/rest.md).

It returns the decoded JSON objects of the server; ``mbs.client.snapshot`` interprets them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from mbs.client import answers
from mbs.client.answers import UnexpectedAnswer as UnexpectedAnswer  # for users of this module
from mbs.client.answers import Unreachable as Unreachable
from mbs.errors import InvalidInput, MBSError, Problem

Json = dict[str, Any]
Params = Mapping[str, str | int | Sequence[str]]

ROOT = "/module-build-service/"
API_VERSION = 2
#: HTTP statuses after which the same request may succeed later.
TRANSIENT = frozenset({429, 500, 502, 503, 504})
#: Max components of one build, and max rows of other lists; a server could send pages without end.
MAX_COMPONENTS = MAX_ROWS = 10_000
#: Scheme of a server on a Unix socket, whose quoted path is the host: ``http+unix://%2Frun%2Fweb.sock``.
UNIX = "http+unix"
#: The address that the server of a Unix socket knows itself by.
LOCAL_URL = "http://127.0.0.1"


class Refused(MBSError):
    """The server refused the request.

    Attributes:
        status: HTTP status of the answer.
    """

    code = "refused"

    def __init__(
        self, status: int, message: str, *, code: str = "", hint: str = "", problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(message, code=code, hint=hint, problems=problems)
        self.status = status

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in TRANSIENT


class Client:
    """A client for one server, with the credentials of one user.

    All methods can raise ``Refused``, ``Unreachable`` and ``UnexpectedAnswer``.

    Args:
        server: The server's URL, ``http://host:port`` or any URL of its API, or ``unix_url`` of its socket.
        token: Bearer token; empty for requests without credentials.
        owner: Owner of submitted builds; only for a server without logins.
        auth: Authenticates requests instead of a token.
        timeout: Seconds until an answer begins, and then for its body. Submissions take longest, since the
            server reads git repositories.
        transport: Replaces the network in tests.
    """

    def __init__(
        self,
        server: str,
        *,
        token: str = "",
        owner: str = "",
        auth: httpx.Auth | None = None,
        timeout: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.server = base_url(server)
        self.owner = owner
        address, transport = web_url(self.server), transport or _socket_transport(self.server)
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._address, self._timeout = address, timeout
        self._http = httpx.Client(
            base_url=f"{address}{ROOT}{API_VERSION}/",
            headers=headers,
            auth=auth,
            timeout=httpx.Timeout(timeout, connect=10.0),
            transport=transport,
            trust_env=not is_loopback(address),  # a proxy cannot know this machine's own ports
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def about(self) -> Json:
        """Return ``{version, api_version, auth_method}``, and ``login`` if command lines can log in."""
        return _object(self._request("GET", "about/"))

    def me(self) -> Json:
        """Return ``{username, groups, scopes}`` of the user whose token is used."""
        return _object(self._request("GET", "me/"))

    def submit(self, body: Mapping[str, object]) -> list[Json]:
        """Submit a module, and return all its builds, including those that existed already.

        Args:
            body: The keys of a submission (docs/contract/rest.md, "Submitting").
        """
        return _objects(self._request("POST", "module-builds/", json=self._signed(body)))

    def plan(self, body: Mapping[str, object]) -> Json:
        """Return the plan of a submission, without recording anything."""
        return _object(self._request("POST", "module-builds/plan/", json=self._signed(body)))

    def build(self, build_id: int, *, verbose: bool = False) -> Json:
        """Return a module build."""
        return _object(self._request("GET", f"module-builds/{build_id}", params=_verbose(verbose)))

    def builds(self, params: Params, *, limit: int) -> Iterator[Json]:
        """Yield at most ``limit`` module builds that match filters (docs/contract/rest.md), newest first."""
        return self._pages("module-builds/", {**params, "per_page": min(limit, 100)}, limit)

    def components(self, build_id: int) -> list[Json]:
        """Return all components of a module build in the verbose form, ordered by id."""
        params: Params = {"module_build": build_id, "verbose": "true", "order_by": "id", "per_page": 100}
        found = list(self._pages("component-builds/", params, limit=MAX_COMPONENTS + 1))
        if len(found) > MAX_COMPONENTS:
            raise UnexpectedAnswer(f"The server sent more than {MAX_COMPONENTS} components of one build.")
        return found

    def cancel(self, build_id: int) -> Json:
        """Cancel a module build, and return it."""
        body = self._signed({"state": "failed"})
        return _object(self._request("PATCH", f"module-builds/{build_id}", json=body))

    def retry(self, build_id: int) -> Json:
        """Resume a failed module build, and return it."""
        return _object(self._request("POST", f"module-builds/{build_id}/retry", json=self._signed({})))

    def compare(self, build_id: int, old_id: int | None = None, *, everything: bool = False) -> Json:
        """Return how a module build differs from another, or from the last ready build of its stream.

        Args:
            build_id: The newer build.
            old_id: The older build.
            everything: Whether to include the components that did not change.
        """
        params: Params = ({} if old_id is None else {"with": old_id}) | ({"all": "1"} if everything else {})
        return _object(self._request("GET", f"module-builds/{build_id}/compare", params=params))

    def retire(self, build_id: int) -> Json:
        """Retire a ready or failed module build, and return it."""
        return _object(self._request("POST", f"module-builds/{build_id}/retire", json=self._signed({})))

    def rebuild(self, build_id: int, body: Mapping[str, object]) -> list[Json]:
        """Build the commit of a module build again as a new version, and return all builds."""
        return _objects(self._request("POST", f"module-builds/{build_id}/rebuild", json=self._signed(body)))

    def plan_rebuild(self, build_id: int, body: Mapping[str, object]) -> Json:
        """Return the plan of a rebuild, without recording anything."""
        path = f"module-builds/{build_id}/rebuild/plan"
        return _object(self._request("POST", path, json=self._signed(body)))

    def import_module(self, body: Mapping[str, object]) -> Json:
        """Record a module that was built elsewhere; return ``{module, messages}``.

        Args:
            body: ``modulemd``, the text of its document, or ``scmurl``.
        """
        return _object(self._request("POST", "import-module/", json=dict(body)))

    def queue(self, build_ids: Sequence[int] = ()) -> Json:
        """Return the queue for slots with predictions of builds; ``{}`` if the server has no predictions."""
        try:
            return _object(
                self._request(
                    "GET", f"{self._address}/queue", params={"build": [str(each) for each in build_ids]}
                )
            )
        except (Refused, UnexpectedAnswer) as error:
            if isinstance(error, Refused) and error.status != 404:
                raise
            return {}

    def events(self, params: Params, last_id: str, *, silence: float) -> Iterator[bytes]:
        """Yield the bytes of the stream of events (``docs/howto/notifications.md``) as they arrive.

        Args:
            params: Filters of the stream.
            last_id: Id of the last event that was received; empty for new events only.
            silence: Seconds without any byte after which the stream counts as broken.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx.Timeout(10.0, read=silence)
        with self._streamed("/events", params, headers, timeout=timeout) as answer:
            if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise _unexpected(answer)
            yield from answer.iter_raw()  # one event is bounded by its reader, and the stream has no end

    def log_info(self, build_id: int, package: str, name: str = "") -> Json:
        """Return the names of a component's logs and the size of one of them (``docs/howto/logs.md``)."""
        params = {"name": name} if name else {}
        return _object(self._request("GET", f"{self._address}{self._log(build_id, package)}", params=params))

    def log(self, build_id: int, package: str, name: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a log from ``start`` to ``stop``, in parts as they arrive."""
        headers = {"Accept": "text/plain", "Range": f"bytes={start}-{stop - 1}"}
        with self._streamed(self._log(build_id, package), {"name": name}, headers) as answer:
            yield from answers.parts(answer, stop - start, self._timeout)

    @contextmanager
    def _streamed(
        self, path: str, params: Params, headers: Mapping[str, str], **options: Any
    ) -> Iterator[httpx.Response]:
        """Send a request to a page, and yield the answer, whose body is to be read in the block."""
        url = f"{self._address}{path}"
        request = self._http.build_request("GET", url, params=params, headers=headers, **options)
        try:
            answer = answers.send(self._http, request, self._timeout)
            try:
                if answer.is_error:
                    raise refusal(answers.whole(answer, self._timeout))
                yield answer
            finally:
                answer.close()
        except httpx.TransportError as error:
            raise Unreachable(
                f"The answer of {self.server} is incomplete: {error}.", hint="Try again."
            ) from error

    def _log(self, build_id: int, package: str) -> str:
        return f"/builds/{build_id}/{quote(package, safe='')}/log"

    def tokens(self) -> Iterator[Json]:
        """Yield the user's API tokens, newest first."""
        return self._pages("tokens/", {"per_page": 100}, limit=MAX_ROWS)

    def create_token(self, body: Mapping[str, object]) -> Json:
        """Create an API token. Only this answer contains its text, under ``token``."""
        return _object(self._request("POST", "tokens/", json=dict(body)))

    def revoke_token(self, token_id: int) -> Json:
        """Revoke an API token, and return it."""
        return _object(self._request("DELETE", f"tokens/{token_id}"))

    def subscriptions(self) -> Iterator[Json]:
        """Yield the user's subscriptions, newest first; for admins all."""
        return self._pages("subscriptions/", {"per_page": 100}, limit=MAX_ROWS)

    def subscribe(self, body: Mapping[str, object]) -> Json:
        """Create a subscription. Only this answer contains the secret of its webhooks, under ``secret``."""
        return _object(self._request("POST", "subscriptions/", json=dict(body)))

    def unsubscribe(self, subscription_id: int) -> Json:
        """Delete a subscription, and return it."""
        return _object(self._request("DELETE", f"subscriptions/{subscription_id}"))

    def _signed(self, body: Mapping[str, object]) -> Json:
        return {**body, "owner": self.owner} if self.owner else dict(body)

    def _pages(self, path: str, params: Params, limit: int) -> Iterator[Json]:
        # strict: if the server ignored an unknown filter, the list would contain wrong builds.
        page = _object(self._request("GET", path, params={**params, "strict": "1"}))
        while True:
            items = _objects(page.get("items"))
            for item in items:
                yield item
                limit -= 1
                if limit == 0:
                    return
            following = _object(page.get("meta")).get("next")
            if not following:
                return
            # Only the query is used, since the server may know itself by another address behind a proxy.
            try:
                query = httpx.URL(following).params
            except (TypeError, httpx.InvalidURL) as error:
                raise UnexpectedAnswer(
                    f"The server sent a next page that cannot be read: {error}."
                ) from error
            if not items:
                raise UnexpectedAnswer("The server sent a page without rows that has a next page.")
            page = _object(self._request("GET", path, params=query))

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Params | httpx.QueryParams | None = None,
        json: Json | None = None,
    ) -> object:
        try:
            request = self._http.build_request(method, path, params=params, json=json)
            answer = answers.fetch(self._http, request, self._timeout)
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"{self.server} did not answer in time.",
                hint="It may be overloaded. Check whether the request was executed before you repeat it.",
            ) from error
        except httpx.TransportError as error:
            raise Unreachable(
                f"{self.server} cannot be reached: {error}.",
                hint="Check the address, or start a service on this machine with `mbs up`.",
            ) from error
        if answer.status_code >= 400:
            raise refusal(answer)
        try:
            if answer.is_success:
                return answer.json()
        except (RecursionError, ValueError):
            pass
        raise _unexpected(answer)


def base_url(server: str) -> str:
    """Return ``scheme://host[:port][/prefix]`` of a URL that a user entered, without the path of the API.

    Raises:
        InvalidInput: It is not an http or https URL.
    """
    if server.startswith(f"{UNIX}://"):
        return server
    text = server if "://" in server else f"http://{server}"
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if not port_is_fine or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            f"{server!r} is not the URL of a server.",
            code="bad_server",
            hint="Write it as http://host:port.",
        )
    prefix = parts.path.split(ROOT.rstrip("/"))[0].rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, prefix, "", ""))


def unix_url(path: str) -> str:
    """Return the URL of a server that listens on a Unix socket."""
    return f"{UNIX}://{quote(path, safe='')}"


def web_url(server: str) -> str:
    """Return the URL that requests to a server contain: that of a Unix socket has no host of its own."""
    return LOCAL_URL if server.startswith(f"{UNIX}://") else server


def _socket_transport(server: str) -> httpx.BaseTransport | None:
    if not server.startswith(f"{UNIX}://"):
        return None
    return httpx.HTTPTransport(uds=unquote(server.removeprefix(f"{UNIX}://")))


def is_loopback(url: str) -> bool:
    """Return whether the URL points to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refusal(answer: httpx.Response) -> Refused:
    """Return the error in an answer with a status of 400 or more."""
    try:
        body = answer.json()
    except (RecursionError, ValueError):
        body = None
    if not isinstance(body, dict) or "message" not in body:
        return Refused(
            answer.status_code,
            f"{answer.request.method} {answer.url}: {answer.status_code} {answer.reason_phrase}.",
            hint="The answer does not come from a Module Build Service. Check the URL and any proxy."
            if answer.status_code != 401
            else "The server needs credentials: use --token or MBS_TOKEN.",
        )
    problems = body.get("problems")
    return Refused(
        answer.status_code,
        str(body["message"]),
        code=str(body.get("code") or ""),
        hint=str(body.get("hint") or ""),
        problems=[_problem(item) for item in problems if isinstance(item, dict)]
        if isinstance(problems, list)
        else (),
    )


def _problem(item: Json) -> Problem:
    texts = {
        name: str(item.get(name) or "") for name in ("code", "message", "component", "key", "tried", "hint")
    }
    line = item.get("line")
    return Problem(**texts, line=line if isinstance(line, int) else None)


def _unexpected(answer: httpx.Response) -> UnexpectedAnswer:
    hint = "Check that this is the URL of a Module Build Service."
    if answer.is_redirect:
        hint = f"It redirects to {answer.headers.get('Location', '')}: use that URL as the server."
    return UnexpectedAnswer(f"{answer.url} answered {answer.status_code} without JSON.", hint=hint)


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"The server sent {str(value)[:60]!r} instead of an object.")
    return value


def _objects(value: object) -> list[Json]:
    if not isinstance(value, list):
        raise UnexpectedAnswer(f"The server sent {str(value)[:60]!r} instead of a list.")
    return [_object(item) for item in value]


def _verbose(verbose: bool) -> Params:
    return {"verbose": "true"} if verbose else {}
