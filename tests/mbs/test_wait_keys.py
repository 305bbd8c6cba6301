"""Wait keys are distinct; they are stored in the database, so they must not change."""

from mbs import wait_keys


def test_every_kind_of_wait_has_a_key_of_its_own() -> None:
    keys = [
        wait_keys.after(1),
        wait_keys.check(1),
        wait_keys.component(1),
        wait_keys.repo("module-x"),
        wait_keys.retry("a-task"),
        wait_keys.slot(1),
        wait_keys.tag("module-x"),
    ]
    assert keys == [
        "after:1",
        "check:1",
        "component:1",
        "repo:module-x",
        "retry:a-task",
        "slot:1",
        "tag:module-x",
    ]
    assert [key.startswith(kind.prefix) for key, kind in zip(keys, wait_keys.Kind, strict=True)] == [True] * 7
