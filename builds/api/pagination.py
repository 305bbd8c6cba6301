"""Pagination of lists (docs/contract/rest.md, "Lists")."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from builds.api.links import list_url
from builds.api.parameters import number
from builds.selectors.listing import Listing, Record

PER_PAGE = 10
PARAMETERS = ("page", "per_page")


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
        # Rows may be added between the two statements.
        whole = first is not None and len(first) < self.per_page
        self.total = len(first or ()) if whole else max(listing.count(), len(first or ()))
        self.counting_ms = (time.perf_counter() - started) * 1000
        self.pages = -(-self.total // self.per_page) if self.per_page else 0
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

    def meta(self) -> dict[str, Any]:
        """Return page numbers, the total, and absolute links that keep the other query parameters."""
        return {
            "page": self.page,
            "pages": self.pages,
            "per_page": self.per_page,
            "total": self.total,
            "first": self._url(1),
            "last": self._url(max(self.pages, 1)),
            "prev": self._url(min(self.page - 1, max(self.pages, 1))) if self.page > 1 else None,
            "next": self._url(self.page + 1) if self.page < self.pages else None,
        }

    def _url(self, page: int) -> str:
        if not hasattr(self, "_kept"):
            kept = [
                (key, value)
                for key, values in self.request.query_params.lists()
                if key not in PARAMETERS
                for value in values
            ]
            self._kept = f"{list_url(self.request)}?" + (f"{urlencode(kept)}&" if kept else "")
        return f"{self._kept}page={page}&per_page={self.per_page}"


class MessagePagination(PagePagination):
    """The same, with the rows under ``messages``."""

    items_key = "messages"
