"""Coverage-guided fuzzing of the modulemd parser, which is not part of the test suite.

It needs atheris (``pip install atheris``). It runs until interrupted, or as long as libFuzzer's options say:

    PYTHONPATH=. python tests/fuzz/fuzz_modulemd.py -max_total_time=600 /tmp/corpus tests/mbs/modulemd/data

Every input must result in a modulemd error or in documents, and documents must stay equal when they are
dumped and parsed.
"""

import sys

import atheris

with atheris.instrument_imports(include=["mbs", "yaml"]):
    from mbs import modulemd


def check(data: bytes) -> None:
    """Check one input."""
    strict = bool(data) and data[0] % 2 == 0
    for text in (data, data.decode(errors="replace")):
        list(modulemd.examine(text, strict=strict))
        try:
            documents = modulemd.parse(text, strict=strict)
        except modulemd.ModulemdError:
            continue
        streams = [stream for document in documents for stream in modulemd.upgrade(document)]
        assert modulemd.parse(modulemd.dump_all(documents), strict=strict) == documents
        assert not streams or modulemd.parse(modulemd.dump_all(streams), strict=True) == streams


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
