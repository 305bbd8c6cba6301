"""Coverage-guided fuzzing of the modulemd parser; no part of the test suite.

Needs atheris (``pip install atheris``). Runs until interrupted, or as long as libFuzzer's options say:

    PYTHONPATH=. python tests/fuzz/fuzz_modulemd.py -max_total_time=600 /tmp/corpus tests/mbs/data

Whatever comes in: a modulemd error or documents come out, and documents survive being dumped and read again.
"""

import sys

import atheris

with atheris.instrument_imports(include=["mbs", "yaml"]):
    from mbs import modulemd


def check(data: bytes) -> None:
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
