"""Run libmodulemd in the system's Python; tests do not import this program.

Each line of stdin is a JSON object ``{"text", "strict"}`` with one document; each line of stdout is its
result ``{"ok", "error", "dump"}``. ``dump`` is the document as libmodulemd writes it, upgraded to v2 if it
is a stream. If libmodulemd crashes, this program crashes too, which is also a result.
"""

import json
import sys

import gi

gi.require_version("Modulemd", "2.0")
from gi.repository import GLib, Modulemd  # noqa: E402  (after the choice of the version)


def read(text: str, strict: bool) -> "Modulemd.ModuleIndex":
    """Return the index of a document, or raise a GLib.Error."""
    index = Modulemd.ModuleIndex.new()
    try:
        stream = Modulemd.ModuleStream.read_string(text, strict, None, None)
    except GLib.Error as error:
        if "Expected `document: modulemd[-packager]`" not in str(error.message):
            raise
        passed, failures = index.update_from_string(text, strict)
        if not passed:
            raise failures[0].get_gerror() from error
        return index
    packager = Modulemd.read_packager_string(text)
    if isinstance(packager, Modulemd.PackagerV3):
        packager.set_module_name(packager.get_module_name() or "NAME")
        packager.set_stream_name(packager.get_stream_name() or "STREAM")
        index = packager.convert_to_index()
        return index
    stream = stream.upgrade(2)
    index.add_module_stream(
        stream.copy(stream.get_module_name() or "NAME", stream.get_stream_name() or "STREAM")
    )
    return index


def answer(request: dict[str, object]) -> dict[str, object]:
    """Return the result for a request."""
    try:
        index = read(request["text"], request["strict"])
        return {"ok": True, "error": "", "dump": index.dump_to_string()}
    except GLib.Error as error:
        return {"ok": False, "error": str(error.message), "dump": ""}


def main() -> None:
    """Answer requests until stdin ends."""
    print(json.dumps({"version": Modulemd.get_version()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


main()
