"""The decision which components are reused, and its reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mbs.reuse import ALL, CHANGED_AND_AFTER, ONLY_CHANGED, Part, Parts, decide

X86 = frozenset({"x86_64"})


def part(package: str, batch: int = 2, commit: str = "c1", after: tuple[str, ...] = ()) -> Part:
    return Part(package, commit, batch, X86, frozenset(after))


FORMER = Parts(
    "m:1:1:c", CHANGED_AND_AFTER, [part("early"), part("other"), part("middle", 3), part("late", 4)], "%x 1"
)


def codes(present: Parts, former: Parts | None = FORMER, **options) -> dict[str, str]:
    return {each.package: each.code for each in decide(present, former, **options)}


def changed(package: str, **values) -> Parts:
    """The former build with one component changed."""
    parts = [replace(each, **values) if each.package == package else each for each in FORMER.parts]
    return replace(FORMER, name="m:1:2:c", parts=parts)


def test_nothing_changed_everything_is_reused() -> None:
    assert set(codes(FORMER).values()) == {"reused"}


def test_components_in_later_batches_than_a_change_are_built_again() -> None:
    assert codes(changed("middle", commit="c2")) == {
        "early": "reused",
        "other": "reused",
        "middle": "commit_changed",
        "late": "earlier_changed",
    }


def test_components_of_one_batch_do_not_matter_to_each_other() -> None:
    assert codes(changed("early", commit="c2"))["other"] == "reused"


def test_only_changed_looks_at_the_component_alone() -> None:
    present = replace(changed("early", commit="c2"), strategy=ONLY_CHANGED, macros="%x 2")
    assert codes(present) == {
        "early": "commit_changed",
        "other": "reused",
        "middle": "reused",
        "late": "reused",
    }


def test_only_changed_takes_from_another_batch() -> None:
    present = replace(changed("late", batch=2), strategy=ONLY_CHANGED)
    assert codes(present)["late"] == "reused"
    assert codes(replace(present, strategy=CHANGED_AND_AFTER))["late"] == "batch_changed"


@pytest.mark.parametrize("strategy", [CHANGED_AND_AFTER, ONLY_CHANGED])
def test_other_architectures_are_built_anew(strategy: str) -> None:
    present = replace(changed("late", arches=X86 | {"s390x"}), strategy=strategy)
    (decision,) = [each for each in decide(present, FORMER) if each.package == "late"]
    assert (decision.code, decision.former, decision.present) == ("arches_changed", "x86_64", "s390x x86_64")
    assert decision.detail == "was x86_64, is s390x x86_64"


def test_an_earlier_component_with_other_architectures_counts_as_changed() -> None:
    assert codes(changed("early", arches=frozenset({"s390x"})))["late"] == "earlier_changed"


@pytest.mark.parametrize("parts", [FORMER.parts[1:], [*FORMER.parts, part("new")]])
def test_a_component_removed_or_added_earlier_counts_as_changed(parts: list[Part]) -> None:
    present = replace(FORMER, parts=parts)
    assert codes(present)["other"] == "reused"
    assert codes(present)["middle"] == codes(present)["late"] == "earlier_changed"


def test_earlier_components_in_other_batches_count_as_changed() -> None:
    """The same components before it, but not one after the other as then."""
    assert codes(changed("middle", batch=2))["late"] == "earlier_changed"


def test_other_macros_build_everything_anew() -> None:
    decisions = decide(replace(FORMER, macros="%x 2"), FORMER)
    assert {(each.code, each.former, each.present) for each in decisions} == {
        ("macros_changed", "%x 1", "%x 2")
    }


def test_the_strategy_all_reuses_nothing() -> None:
    assert set(codes(replace(FORMER, strategy=ALL)).values()) == {"strategy_all"}


def test_a_build_made_with_less_care_is_no_source_of_a_strict_one() -> None:
    former = replace(FORMER, strategy=ONLY_CHANGED)
    assert set(codes(FORMER, former).values()) == {"former_strategy"}
    assert set(codes(replace(FORMER, strategy=ONLY_CHANGED), former).values()) == {"reused"}
    assert set(codes(FORMER, replace(FORMER, strategy=ALL)).values()) == {"reused"}


def test_there_may_be_nothing_to_take_from() -> None:
    assert set(codes(FORMER, None).values()) == {"no_former_build"}
    assert set(codes(FORMER, FORMER, shared=False).values()) == {"not_shared"}
    assert codes(FORMER, replace(FORMER, parts=[]))["early"] == "new_component"
    assert "no other build" in decide(FORMER, None)[0].detail
    assert codes(FORMER, FORMER, unfinished=["early"])["early"] == "former_unfinished"


def test_a_component_without_a_commit_is_never_reused() -> None:
    former = changed("early", commit="")
    assert codes(former, former)["early"] == "commit_changed"


class TestBuildafter:
    FORMER = Parts(
        "g:1:1:c",
        CHANGED_AND_AFTER,
        [part("root"), part("child", after=("root",)), part("leaf", after=("child",)), part("alone")],
    )

    def changed(self, package: str, **values) -> Parts:
        parts = [replace(each, **values) if each.package == package else each for each in self.FORMER.parts]
        return replace(self.FORMER, parts=parts)

    def test_components_after_a_changed_one_are_built_again(self) -> None:
        assert codes(self.changed("root", commit="c2"), self.FORMER) == {
            "root": "commit_changed",
            "child": "earlier_changed",
            "leaf": "earlier_changed",
            "alone": "reused",
        }

    def test_components_with_another_buildafter_are_built_again(self) -> None:
        assert codes(self.changed("alone", after=frozenset({"root"})), self.FORMER)["alone"] == (
            "earlier_changed"
        )
