"""Asks libmodulemd: run by the system's Python, never imported by the tests.

Reads requests from stdin, one JSON object a line: ``{"text", "strict"}`` with one document each, and
answers each with a line ``{"ok", "error", "dump"}``. ``dump`` is the document, upgraded to v2 when it is
a stream, as libmodulemd writes it. When libmodulemd crashes, so does this program: that is an answer too.
"""

import json
import sys

import gi

gi.require_version("Modulemd", "2.0")
from gi.repository import GLib, Modulemd  # noqa: E402


def read(text, strict):
    """Index of what the document says, or a GLib.Error."""
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


def answer(request):
    try:
        index = read(request["text"], request["strict"])
        return {"ok": True, "error": "", "dump": index.dump_to_string()}
    except GLib.Error as error:
        return {"ok": False, "error": str(error.message), "dump": ""}


def main():
    print(json.dumps({"version": Modulemd.get_version()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


main()
