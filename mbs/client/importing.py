"""The command ``mbs import``: record modules that were built elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx

from mbs.client import answers
from mbs.client.answers import UnexpectedAnswer
from mbs.client.builds import AS_JSON
from mbs.client.options import EXIT_CODES, print_json, with_client
from mbs.client.rest import Client, Json
from mbs.client.submission import read_source
from mbs.errors import InvalidInput, TooLarge, Unavailable
from mbs.text import printable

#: Max bytes of a downloaded document.
MAX_BYTES = 4 << 20
TIMEOUT = 30.0


@click.command("import", epilog=EXIT_CODES)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@AS_JSON
@with_client
def import_modules(client: Client, sources: Sequence[str], as_json: bool) -> None:
    """Record modules that were built elsewhere, such as base modules, as ready.

    SOURCE is a modulemd file, - for standard input, the URL of such a file, or the address of a commit
    (https://host/path?#COMMIT). List base modules first.
    """
    answers = []
    for source in sources:
        answer = client.import_module(document(source))
        answers.append(answer)
        if not as_json:
            for message in answer.get("messages") or ():
                click.echo(printable(message))
    if as_json:
        print_json(answers)


def document(source: str) -> Json:
    """Return the body of a request that imports a source.

    Raises:
        InvalidInput: The source is neither a file nor a URL.
        TooLarge: The file at the URL is larger than ``MAX_BYTES``.
        Unavailable: The file at the URL cannot be downloaded.
    """
    parts = urlsplit(source)
    # The address of a commit contains a #; that of a file does not.
    if parts.scheme in ("http", "https") and "#" not in source and not Path(source).is_file():
        return {"modulemd": fetch(source)}
    return read_source(source)


def fetch(url: str) -> str:
    """Return the text at a URL; see ``document`` for the errors."""
    try:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=True) as http:
            answer = answers.fetch(http, http.build_request("GET", url), TIMEOUT, limit=MAX_BYTES)
            content = answer.raise_for_status().content
    except UnexpectedAnswer as error:
        raise TooLarge(
            f"{url} is larger than {MAX_BYTES} bytes, or compressed.",
            hint="Check that the URL is that of one modulemd file.",
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            f"{url} cannot be fetched: {error}",
            code="not_fetched",
            hint="Use a modulemd file, its URL, or the address of a commit such as https://host/path?#COMMIT.",
        ) from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{url} is not UTF-8 text: {error}.", code="bad_source") from error
