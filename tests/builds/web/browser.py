"""Request and parse pages like a browser."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from django.test import Client

#: Type of the fixture ``get``.
Get = Callable[..., "Page"]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Page(HTMLParser):
    """A page: its text without markup, its tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Keep a tag."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self._texts.append(data)

    @property
    def text(self) -> str:
        """The text without markup, with single blanks."""
        return " ".join(" ".join(self._texts).split())

    def all(self, tag: str, attribute: str) -> list[str]:
        """Return the values that an attribute has wherever this tag has it."""
        return [
            attributes[attribute] for name, attributes in self.tags if name == tag and attribute in attributes
        ]


def get(client: Client, path: str, status: int = 200) -> Page:
    """Return the page at a path, with the strict content security policy that every page has."""
    response = client.get(path, headers=BROWSER)
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("text/html")
    assert response["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'; style-src 'self';"
    )
    return Page(response.content.decode())
