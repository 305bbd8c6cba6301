"""Read documents other than streams: defaults, obsoletes and translations."""

from __future__ import annotations

import datetime
import re

from mbs.modulemd.documents import Defaults, Intent, Obsoletes, Translations
from mbs.modulemd.fields import Fields
from mbs.modulemd.nodes import clip

_TIME = re.compile(r"\s*([0-9]{1,4})-\s*([0-9]{1,2})-\s*([0-9]{1,2})T\s*([0-9]{1,2}):\s*([0-9]{1,2})Z")


def read_defaults(data: Fields) -> Defaults:
    """Read modulemd-defaults v1."""
    document = Defaults(
        module=_required(data, "module"),
        modified=data.integer("modified") or 0,
        stream=data.text("stream"),
        profiles=_profiles(data),
    )
    for name, fields in data.mapping("intents").mappings():
        document.intents[name] = Intent(fields.text("stream"), _profiles(fields))
        fields.close()
    data.close()
    return document


def read_obsoletes(data: Fields) -> Obsoletes:
    """Read modulemd-obsoletes v1."""
    by = data.mapping("obsoleted_by")
    document = Obsoletes(
        modified=_time(data, "modified") or datetime.datetime.min,
        module=_required(data, "module"),
        stream=_required(data, "stream"),
        message=_required(data, "message"),
        context=data.text("context"),
        reset=data.boolean("reset"),
        eol_date=_time(data, "eol_date"),
        obsoleted_by_module=by.text("module"),
        obsoleted_by_stream=by.text("stream"),
    )
    by.close()
    data.close()
    if "modified" not in data:
        data.problem("missing_key", f"{data.path} has no modified.", "modified")
    if document.reset:
        for key in ("eol_date", "obsoleted_by"):
            if key in data:
                data.problem("conflicting_keys", f"reset and {key} exclude each other.", key)
    if (document.obsoleted_by_module is None) != (document.obsoleted_by_stream is None):
        data.problem("missing_key", f"{by.path} must have both module and stream.", "obsoleted_by")
    return document


def read_translations(data: Fields) -> Translations:
    """Read modulemd-translations v1 without checking its content."""
    return Translations(data={key: data.tree(key) for key in data})


def _profiles(fields: Fields) -> dict[str, list[str]]:
    """Return stream -> its default profiles."""
    profiles = fields.mapping("profiles")
    return {stream: profiles.names(stream) for stream in profiles}


def _required(data: Fields, key: str) -> str:
    text = data.text(key)
    if not text:
        data.problem("missing_key", f"{data.path} has no {key}.", key)
    return text or ""


def _time(data: Fields, key: str) -> datetime.datetime | None:
    """Return a time in UTC, written ``YYYY-MM-DDTHH:MMZ``."""
    text = data.text(key)
    if text is None:
        return None
    parts = _TIME.fullmatch(text)
    try:
        if parts:
            year, month, day, hour, minute = map(int, parts.groups())
            return datetime.datetime(year, month, day, hour, minute, tzinfo=datetime.UTC)
    except ValueError:
        pass
    data.problem("invalid_value", f"{data.key(key)} must be a time YYYY-MM-DDTHH:MMZ, not {clip(text)}.", key)
    return None
