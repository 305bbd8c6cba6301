"""Read answers of servers with bounds on their size and their time.

A timeout of httpx is for each part of an answer, so a server that sends single bytes could keep a command for
ever. Compressed answers are neither asked for nor read: a few bytes can become many, and httpx keeps all
bytes that follow the end of compressed data.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx

from mbs.errors import MBSError, Unavailable

#: Max bytes of an answer, and of an error.
MAX_ANSWER, MAX_ERROR = 64 << 20, 1 << 20
#: Bytes per second that a slow connection has to transfer, so that large answers may take longer.
MIN_RATE = 4096.0


class Unreachable(Unavailable):
    """The server does not answer."""

    code = "server_unreachable"


class UnexpectedAnswer(MBSError):
    """The answer does not come from a Module Build Service."""

    code = "unexpected_answer"


def send(http: httpx.Client, request: httpx.Request, seconds: float) -> httpx.Response:
    """Send a request, and return the answer, whose body is still to be read and which has to be closed.

    Args:
        http: The client.
        request: The request.
        seconds: Max seconds until the answer begins.

    Raises:
        httpx.HTTPError: The server cannot be reached, or does not answer in time.
    """
    request.headers["Accept-Encoding"] = "identity"
    answers: list[httpx.Response] = []
    errors: list[BaseException] = []
    given_up = threading.Event()

    def run() -> None:
        try:
            answer = http.send(request, stream=True)
        except BaseException as error:  # noqa: BLE001  (it is raised again in the caller's thread)
            errors.append(error)
            return
        answers.append(answer)
        if given_up.is_set():
            answer.close()

    # httpx bounds the time of each read only, and a header can be sent byte by byte.
    thread = threading.Thread(target=run, daemon=True, name=f"request to {request.url.host}")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        given_up.set()
        raise httpx.ReadTimeout(f"no answer within {seconds:g} seconds", request=request)
    if errors:
        raise errors[0]
    return answers[0]


def parts(answer: httpx.Response, limit: int, seconds: float) -> Iterator[bytes]:
    """Yield the body of an answer as it arrives.

    Args:
        answer: The answer.
        limit: Max bytes.
        seconds: Max seconds; large answers get more (``MIN_RATE``).

    Raises:
        UnexpectedAnswer: The body is too large or compressed.
        httpx.HTTPError: The connection breaks off, or the body takes too long.
    """
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnexpectedAnswer(f"{answer.url.host} sent a compressed answer.")
    begun, size = time.monotonic(), 0
    for part in (answer.content,) if answer.is_stream_consumed else answer.iter_raw():
        size += len(part)
        if size > limit:
            raise UnexpectedAnswer(f"{answer.url.host} sent more than {limit} bytes.")
        if time.monotonic() - begun > seconds + size / MIN_RATE:
            raise httpx.ReadTimeout(f"{size} bytes within {seconds:g} seconds", request=answer.request)
        yield part


def fetch(
    http: httpx.Client, request: httpx.Request, seconds: float, *, limit: int | None = None
) -> httpx.Response:
    """Send a request, and return the whole answer.

    Args:
        http: The client.
        request: The request.
        seconds: Max seconds until the answer begins, and then again for its body.
        limit: Max bytes of the body; None: ``MAX_ANSWER``.

    Raises:
        UnexpectedAnswer: The body is too large.
        httpx.HTTPError: The server cannot be reached, or does not answer in time.
    """
    answer = send(http, request, seconds)
    try:
        return whole(answer, seconds, limit=limit or MAX_ANSWER)
    finally:
        answer.close()


def whole(answer: httpx.Response, seconds: float, *, limit: int = MAX_ERROR) -> httpx.Response:
    """Return an answer with its body; see ``parts`` for arguments and errors."""
    content = b"".join(parts(answer, MAX_ERROR if answer.is_error else limit, seconds))
    headers = {name: answer.headers[name] for name in ("Location", "Content-Type") if name in answer.headers}
    return httpx.Response(
        answer.status_code,
        headers=headers,
        content=content,
        request=answer.request,
        extensions={"reason_phrase": answer.reason_phrase.encode("ascii", "replace")},
    )
