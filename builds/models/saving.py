"""Saving many rows at once."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Model


def save_all(rows: Sequence[Model], fields: Sequence[str]) -> None:
    """Save these fields of rows that exist and are locked, in one statement.

    ``bulk_update`` would make a CASE expression for each field and row. Django needs longer to compose it
    than the database needs to execute it.
    """
    if rows:
        type(rows[0])._default_manager.bulk_create(
            rows, update_conflicts=True, unique_fields=["pk"], update_fields=fields
        )
