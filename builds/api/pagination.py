"""Pagination of lists (docs/contract/rest.md, "Lists")."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api.links import list_url
from builds.api.parameters import number
from builds.selectors.listing import Listing, Record
from builds.shapes import Meta

PER_PAGE = 10
_NUMBER = {"type": ["integer", "string"]}
#: Parameter -> its description and JSON Schema. Text that is not a number means the default.
PARAMETERS: Mapping[str, dict[str, Any]] = {
    "page": {
        "description": "Page number, from 1. A page past the end is empty. Any other text means page 1.",
        "schema": {**_NUMBER, "default": 1},
    },
    "per_page": {
        "description": "Items on a page. Large values are reduced, see meta.per_page. With 0, there are no "
        "items.",
        "schema": {**_NUMBER, "default": PER_PAGE},
    },
}


class PagePagination(BasePagination):
    """Pages ``{"items": [...], "meta": {...}}``.

    A page past the end is empty, and so is any with ``per_page=0``.

    The header ``Server-Timing`` reports the time that counting the rows took.
    """

    items_key = "items"

    def rows(self, listing: Listing, request: Request) -> list[Record]:
        """Return the rows of the requested page."""
        self.request = request
        self.page = number(request, "page", least=1, default=1)
        self.per_page = min(number(request, "per_page", least=0, default=PER_PAGE), settings.MBS.PER_PAGE_MAX)
        at_start = self.page == 1 and self.per_page > 0 and listing.unfiltered
        first = listing.first(self.per_page) if at_start else None
        started = time.perf_counter()
        if first is None:
            self.total = listing.count()
        elif len(first) < self.per_page:
            self.total = len(first)
        else:
            # Rows may be deleted between the two statements.
            self.total = max(listing.count_after(first[0]), len(first))
        self.counting_ms = (time.perf_counter() - started) * 1000
        if first is not None:
            return first
        offset = (self.page - 1) * self.per_page
        count = min(self.per_page, self.total - offset)
        return listing.page(offset, count, self.total) if count > 0 else []

    def get_paginated_response(self, data: Any) -> Response:
        """Return the answer for the rows of the page."""
        return Response(
            {self.items_key: data, "meta": self.meta()},
            headers={"Server-Timing": f"total;dur={self.counting_ms:.2f}"},
        )

    def meta(self) -> Meta:
        """Return page numbers, the total, and absolute links that keep the other query parameters."""
        kept = [
            (key, value)
            for key, values in self.request.query_params.lists()
            if key not in PARAMETERS
            for value in values
        ]
        address = f"{list_url(self.request)}?" + (f"{urlencode(kept)}&" if kept else "")
        return meta_of(address, page=self.page, per_page=self.per_page, total=self.total)


class MessagePagination(PagePagination):
    """The same, with the rows under ``messages``."""

    items_key = "messages"


def meta_of(address: str, *, page: int, per_page: int, total: int) -> Meta:
    """Return the position of a page in its list.

    Args:
        address: URL of the list, to which the parameters of pages are appended.
        page: Number of the page.
        per_page: Number of items on a page.
        total: Number of items in the list.
    """
    pages = -(-total // per_page) if per_page else 0
    last = max(pages, 1)

    def url(number: int) -> str:
        return f"{address}page={number}&per_page={per_page}"

    return {
        "page": page,
        "pages": pages,
        "per_page": per_page,
        "total": total,
        "first": url(1),
        "last": url(last),
        "prev": url(min(page - 1, last)) if page > 1 else None,
        "next": url(page + 1) if page < pages else None,
    }
