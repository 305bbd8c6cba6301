"""Steps that several tests of a hub share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from buildsys.base import (
    Module,
    RepoState,
    TaskState,
)
from tests.integration.conftest import Setting


def regenerate(setting: Setting, module: Module, nvrs: list[str]) -> None:
    """Regenerate the repository of a module, and wait until it contains the builds."""
    request = setting.system.request_repo(module)
    setting.wait(
        lambda: setting.system.repo_status(module, request, nvrs).state is not RepoState.OPEN, "a repository"
    )
    status = setting.system.repo_status(module, request, nvrs)
    assert (status.state, status.missing) == (RepoState.READY, ()), status


def with_macros(
    setting: Setting, name: str, *, required: Module | None = None, conflicts: Iterable[str] = ()
) -> tuple[Module, str]:
    """Return a module with its macros package in the buildroot, and the NVR of the package."""
    module = setting.module(name)
    if required:
        entry = {"stream": required.stream, "koji_tag": required.tag}
        module = replace(module, buildrequires={**module.buildrequires, required.name: entry})
    setting.system.prepare(module, [*setting.packages, *filter(None, [setting.dependant])])
    # A build without a repository waits a minute for the one that the builder requests.
    regenerate(setting, module, [])
    (status,) = setting.ended(setting.system.submit([setting.macros_job(module, conflicts)]))
    assert status.state is TaskState.COMPLETE, status
    setting.tag(module, [status.nvr], final=False)
    regenerate(setting, module, [status.nvr])
    return module, status.nvr
