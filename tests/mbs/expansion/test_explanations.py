"""Explanations of expansion: its decisions, and the streams that it rejects."""

from __future__ import annotations

import pytest

from mbs.errors import Unprocessable
from mbs.expansion import Settings
from tests.mbs.expansion.universes import base, document, lists, module, run

F29, F30 = base("f29"), base("f30")


def refusal(*arguments, **options) -> Unprocessable:
    with pytest.raises(Unprocessable) as caught:
        run(*arguments, **options)
    return caught.value


def test_two_streams_that_collide_are_named_with_the_paths_to_them():
    error = refusal(
        document({"platform": ["f30"], "gtk": ["1"], "foo": ["1"]}),
        F30,
        module("gtk:1:1:g", {"bar": ["1"]}),
        module("foo:1:1:f", {"baz": ["1"]}),
        module("baz:1:1:z", {"bar": ["2"]}),
        module("bar:1:1:x"),
        module("bar:2:1:y"),
    )
    assert error.code == "stream_collision"
    assert error.message == (
        "No combination of streams can be built. bar:1 and bar:2 exclude each other: the document "
        "buildrequires gtk:1, gtk:1:1:g requires bar:1; the document buildrequires foo:1, "
        "foo:1:1:f requires baz:1, baz:1:1:z requires bar:2."
    )
    assert [(problem.code, problem.key) for problem in error.problems] == [
        ("stream_collision", "data.dependencies[0]")
    ]


def test_rejected_streams_are_as_few_as_exclude_each_other():
    known = [
        F30,
        *(module(f"lib:{stream}:1:l") for stream in "12"),
        *(module(f"{name}:{stream}:1:c", {"lib": [stream]}) for name in "ab" for stream in "12"),
        *(module(f"other:{stream}:1:o") for stream in "123"),
    ]
    wanted = document({"platform": ["f30"], "a": ["1", "2"], "b": ["1", "2"], "other": ["1", "2", "3"]})
    found = run(wanted, *known)
    assert len(found.builds) == 6
    assert [each.streams for each in found.rejected] == [{"a": "1", "b": "2"}, {"a": "2", "b": "1"}]
    assert found.rejected[0].paths == (("a:1:1:c", "lib:1:1:l"), ("b:2:1:c", "lib:2:1:l"))
    assert found.rejected[0].modules == ("lib:1:1:l", "lib:2:1:l")


def test_combinations_that_a_conflict_excludes_are_not_solved_again():
    known = [
        F30,
        module("lib:1:1:l"),
        module("lib:2:1:l"),
        module("a:1:1:c", {"lib": ["1"]}),
        module("z:1:1:c", {"lib": ["2"]}),
        *(module(f"m{number}:{stream}:1:o") for number in range(6) for stream in "123456789"),
    ]
    streams = {f"m{number}": list("123456789") for number in range(6)}
    error = refusal(document({"platform": ["f30"], "a": ["1"], "z": ["1"], **streams}), *known)
    # Half a million combinations lie between a and z: trying them would end as too_many_combinations.
    assert error.code == "stream_collision"


def test_the_path_avoids_requests_that_the_other_module_would_meet():
    """``b`` would be content with lib:1; it is ``c`` that insists on lib:2."""
    error = refusal(
        document({"platform": ["f30"], "lib": ["1"], "b": ["1"]}),
        F30,
        module("lib:1:1:l"),
        module("lib:2:1:l"),
        module("b:1:1:b", {"lib": ["1", "2"], "c": ["1"]}),
        module("c:1:1:c", {"lib": ["2"]}),
    )
    assert "buildrequires b:1, b:1:1:b requires c:1, c:1:1:c requires lib:2" in error.message


def test_a_build_made_for_another_base_module_collides_with_it():
    found = run(document({"platform": ["f29", "f30"], "gtk": ["1"]}), F29, F30, module("gtk:1:1:g", on="f29"))
    [rejected] = found.rejected
    assert rejected.streams == {"gtk": "1", "platform": "f30"}
    assert "gtk:1:1:g requires platform:f29" in rejected.message


def test_a_build_for_an_older_base_module_names_the_stream_that_is_needed():
    bases = [base("el8.1.0", virtual=["el8"]), base("el8.0.0", virtual=["el8"])]
    gtk = module("gtk:1:1:g", {"platform": ["el8"]}, on="el8.1.0")
    found = run(document({"platform": ["el8.0.0", "el8.1.0"], "gtk": ["1"]}), *bases, gtk)
    [rejected] = found.rejected
    assert rejected.streams == {"gtk": "1", "platform": "el8.0.0"}
    assert "gtk:1:1:g requires platform:el8 as of el8.1.0" in rejected.message


def test_unmet_requirement_of_a_requirement_is_named_with_its_path():
    error = refusal(
        document({"platform": ["f30"], "gtk": ["1"]}),
        F30,
        module("gtk:1:1:g", {"lib": ["1"]}),
        module("lib:1:1:l", {"deep": ["3", "4"]}),
    )
    assert error.code == "unmet_requirement"
    assert error.message.endswith(
        "No usable build satisfies deep:[3, 4]: the document buildrequires gtk:1, gtk:1:1:g "
        "requires lib:1, lib:1:1:l requires deep:[3, 4]."
    )


def test_a_stream_without_builds_is_left_out_with_a_warning():
    found = run(document({"platform": ["f30"], "gtk": ["1", "99"]}), F30, module("gtk:1:1:g"))
    assert len(found.builds) == 1
    assert [(each.code, each.streams) for each in found.rejected] == [("unmet_requirement", {"gtk": "99"})]
    assert "gtk:99, but no build of it is ready" in found.rejected[0].message
    assert any(step.code == "not_available" and step.module == "gtk" for step in found.trace)


def test_a_stream_of_an_expanded_list_is_reported_with_the_list_of_the_document():
    known = [F30, module("perl-bootstrap:5:1:p", {"lib": ["1"]}), module("lib:1:1:l"), module("lib:2:1:l")]
    error = refusal(document({"platform": ["f30"], "perl-bootstrap": [], "lib": ["2"]}), *known)
    assert "the document buildrequires perl-bootstrap:5" in error.message
    assert error.message.endswith("The document says perl-bootstrap: [].")


def test_no_combination_for_several_reasons_lists_them_all():
    known = [F30, module("gtk:1:1:g", {"lib": ["1"]}), module("lib:1:1:l"), module("lib:2:1:l")]
    error = refusal(
        lists(
            ({"platform": ["f30"], "gtk": ["1"], "lib": ["2"]}, {}), ({"platform": ["f30"], "qt": ["5"]}, {})
        ),
        *known,
    )
    assert error.code == "no_combination"
    assert [(problem.code, problem.key) for problem in error.problems] == [
        ("stream_collision", "data.dependencies[0]"),
        ("unmet_requirement", "data.dependencies[1]"),
    ]


def test_an_open_list_without_ready_streams_is_an_error():
    error = refusal(document({"platform": ["f30"], "gtk": ["-1"]}), F30, module("gtk:1:1:g"))
    assert (error.code, "No stream that gtk: [-1] allows is ready" in error.message) == (
        "unmet_requirement",
        True,
    )


def test_an_open_list_without_ready_streams_ends_the_search():
    names = [f"a{number}" for number in range(9)]
    known = [F30, *(module(f"{name}:{stream}:1:c") for name in names for stream in "123456789")]
    error = refusal(
        document({"platform": ["f30"], "zzz": []} | dict.fromkeys(names, tuple("123456789"))), *known
    )
    assert error.code == "unmet_requirement"


@pytest.mark.parametrize("wanted", [document({"gtk": ["1"]}), lists(), document({"platform": []})])
def test_a_base_module_is_needed(wanted):
    known = [] if wanted.dependencies and "platform" in wanted.dependencies[0].buildrequires else [F30]
    assert refusal(wanted, *known).code == "no_base_module"


def test_a_list_that_leads_to_no_base_module_is_left_out():
    gtk = module("gtk:1:1:g", alternatives=())
    found = run(lists(({"platform": ["f30"]}, {}), ({"gtk": ["1"]}, {})), F30, gtk)
    assert [(each.code, each.dependencies) for each in found.rejected] == [("no_base_module", 1)]


@pytest.mark.parametrize("streams", [[], ["f31"]])
def test_without_a_base_module_the_error_explains_how_to_import_one(streams):
    caught = refusal(document({"platform": streams}))
    assert "mbs import platform.yaml" in caught.hint
    assert "mbs up --host-platform" in caught.hint
    assert "ready are" not in caught.hint


def test_unknown_base_module_names_those_that_are_ready():
    error = refusal(document({"platform": ["f99"]}), F30, F29)
    assert (error.code, error.message, error.hint) == (
        "unknown_base_module",
        "None of the base modules that the document buildrequires is ready: platform:f99.",
        "Name one that is; ready are platform:f29, platform:f30.",
    )


def test_too_many_combinations_are_refused():
    gtk = [module(f"gtk:{stream}:1:g") for stream in range(11)]
    wanted = document({"platform": ["f30"], "gtk": []})
    assert refusal(wanted, F30, *gtk, settings=Settings(max_combinations=10)).code == "too_many_combinations"
    assert len(run(wanted, F30, *gtk, settings=Settings(max_combinations=11)).builds) == 11


def test_the_trace_contains_considered_and_dropped_builds():
    found = run(
        document({"platform": ["f30"], "gtk": ["-2"]}),
        F30,
        module("gtk:1:2:new", {"lib": ["9"]}),
        module("gtk:1:2:other"),
        module("gtk:2:1:g"),
    )
    told = {step.code: step for step in found.trace}
    assert (told["open_list"].considered, told["open_list"].dropped) == (("1", "2"), ("2",))
    assert found.builds[0].buildrequires["gtk"].context == "other"
    assert told["chosen"].as_dict() == {
        "code": "chosen",
        "message": f"app:1 is built against gtk:1, platform:f30 as {found.builds[0].context}.",
        "considered": ["platform:f30:1:pf30", "gtk:1:2:other"],
        "dependencies": 0,
    }


def test_use_of_an_older_build_is_reported():
    """On f30 only the build that was made for f29 goes with every platform."""
    found = run(
        document({"platform": ["f29", "f30"], "gtk": ["1"]}),
        F29,
        F30,
        module("gtk:1:1:any", {"platform": []}, on="f30"),
        module("gtk:1:5:new", on="f29"),
    )
    assert [step.dropped for step in found.trace if step.code == "older_build"] == [("gtk:1:5:new",)]


def test_rejections_can_be_written_as_json():
    found = run(document({"platform": ["f30"], "gtk": ["1", "99"]}), F30, module("gtk:1:1:g"))
    assert found.rejected[0].as_dict() == {
        "code": "unmet_requirement",
        "message": found.rejected[0].message,
        "streams": {"gtk": "99"},
        "modules": [],
        "paths": [],
        "dependencies": 0,
    }
