"""``mbs-manager expand``."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess

import pytest
from django.core.management import CommandError, call_command

from mbs.modulemd import Dependencies, StreamV2, dump


def stream(name, stream, context="c", requires=None, on="f30", **details):
    against = {"platform": {"ref": "r", "stream": on, "version": "1", "context": "p", "koji_tag": "t"}}
    notes = {"commit": "r", "koji_tag": "t", "buildrequires": {} if name == "platform" else against}
    return StreamV2(
        name=name,
        stream=stream,
        version=1,
        context=context,
        summary="A module",
        description="A module.",
        module_licenses=["MIT"],
        xmd={"mbs": notes},
        dependencies=[]
        if requires is None
        else [Dependencies({"platform": [on]}, {**requires, "platform": [on]})],
        **details,
    )


@pytest.fixture
def universe(tmp_path):
    folder = tmp_path / "universe"
    folder.mkdir()
    (folder / "platform.yaml").write_text(dump(stream("platform", "f30", "p")))
    modules = [
        stream("gtk", "1", requires={"lib": ["1"]}),
        stream("gtk", "2", requires={"lib": ["2"]}),
        stream("lib", "1", requires={}),
    ]
    (folder / "modules.yml").write_text("".join(map(dump, modules)))
    (folder / "notes.txt").write_text("not a document")
    return folder


@pytest.fixture
def document(tmp_path):
    def write(buildrequires, requires=None):
        file = tmp_path / "app.yaml"
        wanted = StreamV2(
            name="app",
            stream="1",
            summary="App",
            description="App.",
            module_licenses=["MIT"],
            dependencies=[Dependencies(buildrequires, requires or {})],
        )
        file.write_text(dump(wanted))
        return file

    return write


def run(*arguments):
    out = io.StringIO()
    call_command("expand", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_json_lists_the_builds(document, universe):
    file = document({"platform": [], "gtk": ["1"]}, {"gtk": ["1"], "platform": []})
    [build] = json.loads(run(file, "--universe", universe, "--json"))
    assert len(build.pop("context")) == 8
    assert build == {
        "dependencies": [
            {
                "buildrequires": {"gtk": ["1"], "platform": ["f30"]},
                "requires": {"gtk": ["1"], "platform": ["f30"]},
            }
        ],
        "buildrequires": {"gtk": "1:1:c", "lib": "1:1:c", "platform": "f30:1:p"},
    }


def test_text_names_the_builds_and_what_is_left_out(document, universe):
    told = run(document({"platform": ["f30"], "gtk": []}), "--universe", universe)
    assert "built against\n    gtk:1:1:c\n    lib:1:1:c\n    platform:f30:1:p\nLeft out:\n" in told
    assert "No usable build satisfies lib:2" in told


def test_the_trace_contains_every_decision(document, universe):
    told = run(document({"platform": [], "lib": ["1"]}), "--universe", universe, "--trace")
    assert "    open_list: platform: [] allows [f30].\n" in told


def test_options_override_and_choose(document, universe):
    file = document({"platform": [], "gtk": []}, {"gtk": ["1"]})
    options = ("--buildrequires", "gtk=1,2", "--requires", "gtk=3", "--default-stream", "gtk=1", "--local")
    [build] = json.loads(run(file, "--universe", universe, "--json", *options))
    assert build["dependencies"] == [
        {"buildrequires": {"gtk": ["1"], "platform": ["f30"]}, "requires": {"gtk": ["3"]}}
    ]


def test_no_combination_is_an_error_with_the_reason(document, universe):
    with pytest.raises(CommandError, match="gtk:2:1:c requires lib:2"):
        run(document({"platform": [], "gtk": ["2"]}), "--universe", universe)


def test_an_invalid_document_is_named(document, universe, tmp_path):
    file = document({"platform": []})
    (tmp_path / "app.yaml").write_text("document: modulemd\nversion: 2\n")
    with pytest.raises(CommandError, match=r"(?i)the document has no data"):
        run(file, "--universe", universe)


def test_an_invalid_document_of_the_universe_is_named_and_passed_over(document, universe, capsys):
    (universe / "bad.yaml").write_text("- a\n")
    (universe / "broken.yaml").write_bytes(b"\xff\0")
    assert json.loads(run(document({"platform": []}), "--universe", universe, "--json"))
    said = capsys.readouterr().err
    assert "bad.yaml:1: skipped: A document must be a mapping" in said
    assert "broken.yaml:1: skipped: " in said


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2", "zst"])
def test_the_modules_of_a_repository_are_read_and_a_bad_one_is_passed_over(
    document, universe, tmp_path, capsys, compression
):
    documents = [path.read_text() for path in sorted(universe.glob("*.y*ml"))]
    documents.insert(1, "---\nbad: [\n...\n")
    documents.append("---\n" + f"# {'x' * 78}\n" * 30_000)
    content = "".join(documents).encode()
    assert len(content) > 2 << 20
    repodata = tmp_path / "repository" / "repodata"
    repodata.mkdir(parents=True)
    packed = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstd}
    (repodata / "unusual").write_bytes(packed[compression](content) if compression else content)
    (repodata / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="modules">'
        '<location href="repodata/unusual"/></data></repomd>'
    )
    file = document({"platform": [], "gtk": ["1"]}, {"gtk": ["1"], "platform": []})
    [build] = json.loads(run(file, "--universe", repodata.parent, "--json"))
    assert build["buildrequires"]["gtk"] == "1:1:c"
    said = capsys.readouterr().err
    assert said.count("skipped: ") >= 1
    assert "This is not YAML" in said


def zstd(content):
    return subprocess.run(["zstd", "-qc"], input=content, capture_output=True, check=True).stdout


def test_missing_files_are_named(document, universe, tmp_path):
    with pytest.raises(CommandError, match=r"none\.yaml cannot be read: No such file"):
        run(tmp_path / "none.yaml", "--universe", universe)
    with pytest.raises(CommandError, match="none is not a folder"):
        run(document({"platform": []}), "--universe", tmp_path / "none")
