"""Combinations of streams that stream expansion finds for a document."""

from __future__ import annotations

import copy

import pytest

from mbs.contexts import contexts
from mbs.errors import Unprocessable
from mbs.expansion import MemoryUniverse, Request, Settings, available, expand
from mbs.modulemd import parse_stream
from tests.mbs.expansion.universes import base, combinations, document, installed, lists, module, run

F29, F30 = base("f29"), base("f30")
GTK = [module(f"gtk:{stream}:1:g{stream}{on}", on=on) for stream in ("1", "2") for on in ("f29", "f30")]


def test_an_open_list_means_every_ready_stream():
    found = run(document({"platform": [], "gtk": []}), F29, F30, *GTK)
    assert combinations(found) == {
        frozenset({f"platform:{platform}", f"gtk:{gtk}"}) for platform in ("f29", "f30") for gtk in "12"
    }
    assert all(f"g{gtk}{on}" in nsvc for [nsvc] in installed(found) for gtk in nsvc[4] for on in [nsvc[-3:]])


def test_minus_leaves_a_stream_out():
    found = run(document({"platform": ["-f29"], "gtk": ["-1"]}), F29, F30, *GTK)
    assert combinations(found) == {frozenset({"platform:f30", "gtk:2"})}


def test_minus_with_a_virtual_stream_leaves_out_all_that_provide_it():
    bases = [
        base("el8.1.0", virtual=["el8"]),
        base("el8.2.0", virtual=["el8"]),
        base("el9.0.0", virtual=["el9"]),
    ]
    assert combinations(run(document({"platform": ["-el8"]}), *bases)) == {frozenset({"platform:el9.0.0"})}


def test_closed_list_ignores_minus_and_repetition():
    found = run(document({"platform": ["f30", "f30"], "gtk": ["2", "-1"]}), F29, F30, *GTK)
    assert combinations(found) == {frozenset({"platform:f30", "gtk:2"})}


def test_excluded_base_streams_are_left_out_of_open_lists_only():
    settings = Settings(excluded_base_streams=("f29",))
    assert combinations(run(document({"platform": []}), F29, F30, settings=settings)) == {
        frozenset({"platform:f30"})
    }
    assert combinations(run(document({"platform": ["f29"]}), F29, F30, settings=settings)) == {
        frozenset({"platform:f29"})
    }


def test_retired_base_modules_are_not_built_against():
    found = run(document({"platform": []}), base("f28", retired=True), F30)
    assert combinations(found) == {frozenset({"platform:f30"})}


def test_runtime_requires_are_fixed_where_they_list_the_same_streams():
    found = run(
        document({"platform": [], "gtk": ["1", "2"]}, {"platform": [], "gtk": ["2", "1"], "qt": ["5"]}),
        F30,
        *GTK,
    )
    assert [build.document.dependencies[0].requires for build in found.builds] == [
        {"gtk": [gtk], "platform": ["f30"], "qt": ["5"]} for gtk in "12"
    ]


def test_runtime_requires_that_differ_stay_as_written():
    found = run(document({"platform": ["f30"], "gtk": ["1"]}, {"platform": [], "gtk": ["1", "2"]}), F30, *GTK)
    [build] = found.builds
    assert build.document.dependencies[0].requires == {"gtk": ["1", "2"], "platform": []}


def test_virtual_stream_becomes_the_newest_that_provides_it_and_stays_in_the_requires():
    bases = [base(f"el8.{minor}.0", virtual=["el8"]) for minor in (1, 10, 2)]
    [build] = run(document({"platform": ["el8"]}, {"platform": ["el8"]}), *bases).builds
    assert build.base.stream == "el8.10.0"
    assert build.document.dependencies[0].buildrequires == {"platform": ["el8.10.0"]}
    assert build.document.dependencies[0].requires == {"platform": ["el8"]}


def test_stream_suffix_decides_which_virtual_stream_is_the_newest():
    bases = [base("el8.2.0.z", virtual=["el8"]), base("el8.2.0", virtual=["el8"])]
    settings = Settings(stream_suffixes={r"^el\d+\.\d+\.\d+\.z$": 0.1})
    [build] = run(document({"platform": ["el8"]}), *bases, settings=settings).builds
    assert build.base.stream == "el8.2.0.z"


def test_real_stream_is_not_taken_for_a_virtual_one():
    [build] = run(document({"platform": ["el8"]}), base("el8"), base("el8.1.0", virtual=["el8"])).builds
    assert build.base.stream == "el8"


def test_modules_of_the_newest_compatible_base_module_are_used():
    bases = [base(f"el8.{minor}.0", virtual=["el8"]) for minor in (0, 1, 2)]
    gtk = [
        module(f"gtk:1:80{minor}001:g{minor}", {"platform": ["el8"]}, on=f"el8.{minor}.0") for minor in (0, 2)
    ]
    assert installed(run(document({"platform": ["el8.1.0"], "gtk": ["1"]}), *bases, *gtk)) == [
        ["gtk:1:800001:g0"]
    ]
    assert installed(run(document({"platform": ["el8.2.0"], "gtk": ["1"]}), *bases, *gtk)) == [
        ["gtk:1:802001:g2"]
    ]


def test_each_base_module_gets_the_modules_that_fit_it():
    bases = [base(f"el8.{minor}.0", virtual=["el8"]) for minor in (0, 1)]
    gtk = [
        module(f"gtk:1:80{minor}001:g{minor}", {"platform": ["el8"]}, on=f"el8.{minor}.0") for minor in (0, 1)
    ]
    found = run(document({"platform": ["el8.0.0", "el8.1.0"], "gtk": ["1"]}), *bases, *gtk)
    assert installed(found) == [["gtk:1:800001:g0"], ["gtk:1:801001:g1"]]


def test_other_major_versions_are_compatible_only_when_so_configured():
    old, new = base("f29", virtual=["fedora"], retired=True), base("f30", virtual=["fedora"])
    gtk = module("gtk:1:1:g", {"platform": ["fedora"]}, on="f29")
    wanted = document({"platform": ["f30"], "gtk": ["1"]})
    with pytest.raises(Unprocessable) as error:
        run(wanted, old, new, gtk)
    assert error.value.code == "unmet_requirement"
    assert installed(run(wanted, old, new, gtk, settings=Settings(only_compatible=False))) == [["gtk:1:1:g"]]


def test_newest_version_in_every_context_is_considered():
    found = run(
        document({"platform": ["f30"], "gtk": ["1"], "lib": ["2"]}),
        F30,
        module("gtk:1:9:old", {"lib": ["2"]}),
        module("gtk:1:10:a", {"lib": ["1"]}),
        module("gtk:1:10:b", {"lib": ["2"]}),
        module("lib:1:1:l"),
        module("lib:2:1:l"),
    )
    assert installed(found) == [["gtk:1:10:b", "lib:2:1:l"]]


def test_least_sum_of_ranks_wins_between_contexts():
    found = run(
        document({"platform": ["f30"], "a": ["1"], "b": ["1"]}),
        F30,
        *(module(f"lib:{stream}:1:l") for stream in "123"),
        module("a:1:1:a0", {"lib": ["1"]}),
        module("a:1:1:a1", {"lib": ["2"]}),
        *(module(f"b:1:1:b{number}", {"lib": [stream]}) for number, stream in enumerate("231")),
    )
    assert installed(found) == [["a:1:1:a1", "b:1:1:b0", "lib:2:1:l"]]


def test_a_module_may_need_one_of_several_lists():
    gtk = module("gtk:1:1:g", alternatives=({"lib": ["1"]}, {"lib": ["2"], "platform": []}))
    libs = [module("lib:1:1:l"), module("lib:2:1:l")]
    assert installed(run(document({"platform": ["f30"], "gtk": ["1"], "lib": ["2"]}), F30, gtk, *libs)) == [
        ["gtk:1:1:g", "lib:2:1:l"]
    ]


def test_indirect_requires_may_be_open_or_exclude_streams():
    libs = [module("lib:1:1:l"), module("lib:2:1:l")]
    for streams, expected in (([], "1"), (["-1"], "2"), (["2", "9"], "2")):
        found = run(
            document({"platform": ["f30"], "gtk": ["1"]}), F30, module("gtk:1:1:g", {"lib": streams}), *libs
        )
        assert installed(found) == [["gtk:1:1:g", f"lib:{expected}:1:l"]]


def test_modules_that_require_each_other_are_built_against_together():
    found = run(
        document({"platform": ["f30"], "aa": ["1"]}),
        F30,
        module("aa:1:1:a", {"bb": ["1"]}),
        module("bb:1:1:b", {"aa": ["1"]}),
    )
    assert installed(found) == [["aa:1:1:a", "bb:1:1:b"]]


def test_a_module_may_be_built_against_an_earlier_build_of_itself():
    assert installed(run(document({"platform": ["f30"], "app": ["1"]}), F30, module("app:1:3:x"))) == [
        ["app:1:3:x"]
    ]


def test_each_dependency_list_is_expanded_by_itself():
    found = run(
        lists(
            ({"platform": ["f29"], "gtk": ["1"]}, {"gtk": ["1"]}), ({"platform": ["f30"], "gtk": ["2"]}, {})
        ),
        F29,
        F30,
        *GTK,
    )
    assert combinations(found) == {
        frozenset({"platform:f29", "gtk:1"}),
        frozenset({"platform:f30", "gtk:2"}),
    }
    assert [len(build.document.dependencies) for build in found.builds] == [1, 1]
    assert [build.dependencies for build in found.builds] == [0, 1]


def test_the_same_build_from_two_lists_is_made_once():
    found = run(lists(({"platform": []}, {}), ({"platform": ["f30"]}, {})), F29, F30)
    assert combinations(found) == {frozenset({"platform:f29"}), frozenset({"platform:f30"})}
    assert [step.dependencies for step in found.trace if step.code == "duplicate"] == [1]


def test_xmd_records_all_that_is_built_against_and_keeps_the_authors_part():
    wanted = document(
        {"platform": ["f30"], "gtk": ["1"]}, xmd={"mine": ["1"], "mbs": {"koji_tag_arches": ["s390x"]}}
    )
    before = copy.deepcopy(wanted)
    [build] = run(wanted, F30, module("gtk:1:12:g", {"lib": ["1"]}), module("lib:1:3:l")).builds
    assert build.document.xmd == {
        "mine": ["1"],
        "mbs": {
            "koji_tag_arches": ["s390x"],
            "mse": "true",
            "buildrequires": {
                "gtk": {
                    "ref": "commit-gtk-1",
                    "stream": "1",
                    "version": "12",
                    "context": "g",
                    "koji_tag": "module-gtk-1-12-g",
                },
                "lib": {
                    "ref": "commit-lib-1",
                    "stream": "1",
                    "version": "3",
                    "context": "l",
                    "koji_tag": "module-lib-1-3-l",
                },
                "platform": {
                    "ref": "virtual",
                    "stream": "f30",
                    "version": "1",
                    "context": "pf30",
                    "koji_tag": "module-f30-build",
                },
            },
        },
    }
    assert build.context == contexts(build.document.mbs["buildrequires"], [{}]).context
    assert wanted == before


def test_contexts_are_those_of_the_reference():
    """The two results that the reference service (3.9.2) prints for the same universe."""
    found = run(document({"platform": ["f29", "f30"]}, {"platform": ["f29", "f30"]}), F29, F30)
    assert {build.context: build.base.stream for build in found.builds} == {
        "6c81f848": "f29",
        "a5b0195c": "f30",
    }


def test_dist_tag_is_marked_by_the_privileged_module_then_the_base_module():
    wanted = document({"platform": ["f30"], "gtk": ["1"]})
    plain, marked = module("gtk:1:1:g"), module("gtk:1:1:g", disttag_marking="x11")
    branded = base("f30", disttag_marking="fc30")
    settings = Settings(privileged=("gtk",))
    assert run(wanted, F30, marked).builds[0].marking == "f30"
    assert run(wanted, F30, marked, settings=settings).builds[0].marking == "x11"
    assert run(wanted, branded, plain, settings=settings).builds[0].marking == "fc30"


def test_the_first_configured_base_module_counts():
    settings = Settings(base_modules=("platform", "bootstrap"))
    boot = available(parse_stream(BOOTSTRAP, strict=False))
    [build] = run(document({"platform": ["f30"], "bootstrap": ["b1"]}), F30, boot, settings=settings).builds
    assert (build.base.name, sorted(build.buildrequires)) == ("platform", ["bootstrap", "platform"])


BOOTSTRAP = """
document: modulemd
version: 2
data:
  name: bootstrap
  stream: b1
  version: 3
  summary: Base
  description: Base
  license: {module: [MIT]}
  xmd: {mbs: {virtual_streams: [b], koji_tag: boot, commit: abc, disttag_marking: bx}}
"""


def test_available_reads_a_document():
    found = available(parse_stream(BOOTSTRAP, strict=False))
    assert (str(found.nsvc), found.virtual_streams, found.koji_tag, found.ref, found.disttag_marking) == (
        "bootstrap:b1:3:00000000",
        ("b",),
        "boot",
        "abc",
        "bx",
    )


class TestQueries:
    """The universe is asked a constant number of times for each level."""

    def calls(self, wanted, *known, **options):
        universe = MemoryUniverse(known)
        expand(wanted, universe, **options)
        return universe.calls

    def test_one_call_for_each_level(self):
        layers = [
            module(f"m{layer}:{stream}:1:c", {f"m{layer + 1}": ["1", "2", "3"]} if layer < 4 else None)
            for layer in range(5)
            for stream in "123"
        ]
        wanted = document({"platform": ["f30"], "m0": ["1", "2", "3"]})
        assert self.calls(wanted, F30, *layers) == {"base_modules": 1, "streams": 0, "candidates": 5}

    def test_one_more_for_all_open_lists(self):
        wanted = lists(*(({"platform": [], "gtk": []}, {}), ({"platform": [], "qt": []}, {})))
        known = [F30, module("gtk:1:1:g"), module("qt:1:1:q")]
        assert self.calls(wanted, *known) == {"base_modules": 1, "streams": 1, "candidates": 1}

    def test_many_documents_share_the_calls(self):
        variants = [
            document({"platform": ["f30"], "gtk": [gtk]}, context=f"c{gtk}", static_context=True)
            for gtk in "12"
        ]
        assert self.calls(variants, F30, *GTK) == {"base_modules": 1, "streams": 0, "candidates": 1}


class TestLocalBuilds:
    """A local build must not guess."""

    def test_several_streams_are_an_error_that_names_them(self):
        with pytest.raises(Unprocessable, match=r"gtk has several streams to choose from: 1, 2") as error:
            run(document({"platform": ["f30"], "gtk": []}), F30, *GTK, request=Request(local=True))
        assert error.value.code == "ambiguous_stream"

    def test_default_stream_chooses(self):
        request = Request(local=True, default_streams={"gtk": "2"})
        found = run(document({"platform": ["f30"], "gtk": []}), F30, *GTK, request=request)
        assert combinations(found) == {frozenset({"platform:f30", "gtk:2"})}

    def test_one_ready_stream_is_no_guess(self):
        found = run(document({"platform": []}), F30, request=Request(local=True))
        assert combinations(found) == {frozenset({"platform:f30"})}

    def test_streams_of_indirect_requirements_are_not_guessed_either(self):
        known = [F30, *GTK, module("app2:1:1:a", {"gtk": ["1", "2"]})]
        wanted = document({"platform": ["f30"], "app2": ["1"]})
        with pytest.raises(
            Unprocessable, match="gtk, which app2:1:1:a requires, has several streams to choose from: 1, 2"
        ):
            run(wanted, *known, request=Request(local=True))
        found = run(wanted, *known, request=Request(local=True, default_streams={"gtk": "2"}))
        assert "gtk:2:1:g2f30" in installed(found)[0]
