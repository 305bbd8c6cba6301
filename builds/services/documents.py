"""The documents that finished modules are shipped with."""

from __future__ import annotations

from collections.abc import Mapping

from builds.models import FinalModulemd, ModuleBuild


def store(build: ModuleBuild, documents: Mapping[str, str]) -> None:
    """Record the final documents of a build in place of earlier ones.

    :param documents: architecture (or ``src``) -> text of the document.
    """
    FinalModulemd.objects.bulk_create(
        [FinalModulemd(module_build=build, arch=arch, document=text) for arch, text in documents.items()],
        update_conflicts=True,
        unique_fields=["module_build", "arch"],
        update_fields=["document"],
    )
