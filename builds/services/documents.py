"""The documents that finished modules are shipped with."""

from __future__ import annotations

from collections.abc import Mapping

from builds.models import FinalModulemd, ModuleBuild
from builds.services.build_system import as_module, build_system
from buildsys.base import BuildSystemError, DescribesModules
from mbs.errors import NotFound, NotSupported

CODE = "no_final_modulemd"


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


def compute(build: ModuleBuild) -> dict[str, str]:
    """Make the final documents of a finished build that has none, and keep them.

    Builds that were loaded from the database of MBS 3.9.2 have none: it computed them for each request.

    :return: architecture (or ``src``) -> text of the document.
    :raises NotSupported: the build system cannot, or what the build holds is not recorded.
    :raises NotFound: what it held is gone.
    """
    system = build_system()
    nvrs = [c.nvr for c in build.component_builds.filter(build_time_only=False) if c.nvr]
    if not isinstance(system, DescribesModules) or not nvrs or not build.arch_names:
        raise NotSupported(
            f"The build system made no final documents for module build {build.pk}.", code=CODE
        )
    try:
        documents = system.documents(as_module(build), sorted(nvrs))
    except BuildSystemError as error:
        raise NotFound(
            f"The final documents of module build {build.pk} cannot be made: {error.message}", code=CODE
        ) from error
    store(build, documents)
    return documents
