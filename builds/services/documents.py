"""Final modulemd documents of finished builds."""

from __future__ import annotations

from builds.models import FinalModulemd, ModuleBuild
from builds.services.build_system import as_module, build_system
from buildsys.base import BuildSystemError
from buildsys.recorded import DescribesModules, FinalDocuments
from mbs.errors import NotFound, NotSupported

CODE = "no_final_modulemd"


def store(build: ModuleBuild, documents: FinalDocuments) -> None:
    """Save the final documents of a build, replacing earlier ones."""
    FinalModulemd.objects.bulk_create(
        [
            FinalModulemd(module_build=build, arch=arch, document=text, sizes=documents.sizes.get(arch))
            for arch, text in documents.texts.items()
        ],
        update_conflicts=True,
        unique_fields=["module_build", "arch"],
        update_fields=["document", "sizes"],
    )


def compute(build: ModuleBuild) -> dict[str, str]:
    """Create and save the final documents of a finished build that has none.

    Builds that were loaded from a database of MBS 3.9.2 have none, since it computed them for each request.

    Returns:
        Architecture (or ``src``) -> text of the document.

    Raises:
        NotSupported: The build system cannot create them, or the build's packages are not recorded.
        NotFound: The build's packages are deleted.
    """
    system = build_system()
    nvrs = [c.nvr for c in build.component_builds.filter(build_time_only=False) if c.nvr]
    if not isinstance(system, DescribesModules) or not nvrs or not build.arch_names:
        raise NotSupported(
            f"Module build {build.pk} has no final documents, and this build system cannot create them.",
            code=CODE,
        )
    try:
        documents = system.documents(as_module(build), sorted(nvrs))
    except BuildSystemError as error:
        raise NotFound(
            f"The final documents of module build {build.pk} cannot be created: {error.message}", code=CODE
        ) from error
    store(build, documents)
    return dict(documents.texts)
