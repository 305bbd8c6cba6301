"""Finish a module build: import it by a Content Generator and tag it for consumers.

See docs/contract/koji.md, "What a module build leaves in Koji", point 4, and "Import".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import koji

from buildsys.base import BuildSystemError, BuildSystemUnavailable, Module, Shipping
from buildsys.koji import shipping
from buildsys.koji.errors import TAKEN
from buildsys.koji.metadata import Import, KojiRpm, Material, devel_import, import_nvr, main_import
from buildsys.koji.session import Hub, outcome
from buildsys.recorded import FinalDocuments
from mbs.final import SOURCE, BuiltRpm, final_documents
from mbs.modulemd import StreamV2, dump, parse_stream

#: Headers of RPMs that are not in Koji's database.
_HEADERS = ["license", "excludearch", "exclusivearch"]
#: Max characters of a license, and max architectures in a header.
_LICENSE, _ARCHES = 8192, 100
_DEBUG = ("-debuginfo", "-debugsource")
_COMPLETE = koji.BUILD_STATES["COMPLETE"]
_REPLACEABLE = [koji.BUILD_STATES["FAILED"], koji.BUILD_STATES["CANCELED"]]


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import: the documents to import, and the tag for them.

    Attributes:
        devel: Whether to import ``N-devel`` too.
        template: Template of the tag's name, with ``{}`` for the stream of the base module.
        default: The tag to use if that tag does not exist.
        tag: Whether to tag the imports.
    """

    enabled: bool = True
    devel: bool = True
    tag: bool = True
    template: str = "{}-modular-updates-candidate"
    default: str = "modular-updates-candidate"


@dataclass(frozen=True)
class Finished:
    """A finished module.

    Attributes:
        documents: Final documents.
        tag: The tag for the imports; empty for none.
        shipping: Whether the imports are in the tag.
    """

    documents: FinalDocuments
    tag: str = ""
    shipping: Shipping = field(default_factory=Shipping)


def finish(
    hub: Hub, module: Module, nvrs: Mapping[str, str], options: ImportOptions, base_stream: str
) -> Finished:
    """Import a module and request its tag, without repeating completed steps.

    A scratch build only gets documents, because it is not shipped.

    Args:
        nvrs: Package -> NVR of its components.

    Raises:
        BuildSystemError: ``koji_build_taken``: the module's NVR belongs to another module build.
            ``koji_build_gone``: a component's build was deleted or untagged.
    """
    material = read(hub, module, sorted(nvrs.values()))
    imports = [main_import(module, material)]
    if options.devel:
        imports.append(devel_import(module, material))
    documents = FinalDocuments(
        {arch: imports[0].document(arch) for arch in (*module.arches, SOURCE)},
        _sizes(imports[0].documents, material.rpms),
    )
    if module.scratch or not options.enabled:
        return Finished(documents)
    name = options.template.format(base_stream)
    exists = _import_missing(hub, module, imports, name)
    if not options.tag:
        return Finished(documents)
    name = name if exists and base_stream else options.default
    return Finished(documents, name, shipping.ship(hub, module, name, [each.nvr for each in imports]))


def ship(hub: Hub, module: Module, tag: str, options: ImportOptions) -> Shipping:
    """Check whether the imports of a module are tagged, and request the tag again if not."""
    names = [module.name, f"{module.name}-devel"] if options.devel else [module.name]
    return shipping.ship(hub, module, tag, [import_nvr(replace(module, name=name)) for name in names])


def _import_missing(hub: Hub, module: Module, imports: Sequence[Import], tag: str) -> bool:
    """Import missing builds; return whether the tag exists."""
    with hub.multicall() as calls:
        known = {each.nvr: calls.getBuild(each.nvr) for each in imports}
        found = calls.getTag(tag)
    for each in imports:
        if not _there(each.nvr, known[each.nvr].result, module):
            _import(hub, module, each)
    return found.result is not None


def _import(hub: Hub, module: Module, each: Import) -> None:
    """Import one build, unless another attempt did so in the meantime.

    An earlier attempt may still run in another process or on the hub, if the call timed out. Until that is
    committed, the hub refuses a second import.
    """
    try:
        # A multicall would not help: each import is a long transaction of its own.
        hub.call("CGImport", dict(each.metadata), hub.upload(each.files))
    except BuildSystemError as refusal:
        if _there(each.nvr, hub.call("getBuild", each.nvr), module):
            return
        if TAKEN in refusal.message:
            raise BuildSystemUnavailable(
                f"{each.nvr} seems to be imported by another call. {refusal.message[:200]}",
                code="koji_import_under_way",
                hint="If this persists, an import was interrupted: remove its folder on the hub, "
                f"packages/{folder(each.nvr)}.",
            ) from refusal
        raise


def folder(nvr: str) -> str:
    """Return the path of a build in Koji, below ``packages``."""
    return "/".join(nvr.rsplit("-", 2))


def _there(nvr: str, build: Mapping[str, Any] | None, module: Module) -> bool:
    """Return whether Koji has this build, so that it need not be imported.

    Raises:
        BuildSystemError: It belongs to another module build.
    """
    if build is None or build["state"] in _REPLACEABLE:
        return False
    _check_ours(nvr, build, module)
    return True


def _check_ours(nvr: str, build: Mapping[str, Any], module: Module) -> None:
    info = ((build.get("extra") or {}).get("typeinfo") or {}).get("module") or {}
    if (info.get("module_build_service_id"), info.get("content_koji_tag")) != (module.id, module.tag):
        raise BuildSystemError(
            f"Koji already has a build {nvr}, which belongs to another module build.",
            code="koji_build_taken",
            hint="Do not build a module with two services. Submit it with a newer commit.",
        )


def read(hub: Hub, module: Module, nvrs: Sequence[str]) -> Material:
    """Read the components' builds, in one multicall for builds and another for headers of RPMs.

    Raises:
        BuildSystemError: ``koji_build_gone``: a build was deleted or untagged.
    """
    with hub.multicall(strict=False) as calls:
        tagged = calls.listTagged(module.tag)
        builds = {nvr: calls.getBuild(nvr) for nvr in nvrs}
        listed = {nvr: calls.listBuildRPMs(nvr) for nvr in nvrs}
        owner = calls.getUser(module.owner)
    infos = {nvr: outcome(build) for nvr, build in builds.items()}
    _check_all_there(module, infos, {build["nvr"] for build in outcome(tagged)})
    return Material(
        rpms=_with_headers(hub, {nvr: outcome(rpms) for nvr, rpms in listed.items()}),
        owner=module.owner if outcome(owner) else str(hub.user["name"]),
        started=module.submitted,
        ended=time.time(),
        log=_log(module, infos.values()),
    )


def documents(hub: Hub, module: Module, nvrs: Sequence[str]) -> FinalDocuments:
    """Return the final documents of a module that was finished earlier, without changing anything.

    Its builds may have been untagged.

    Raises:
        BuildSystemError: ``koji_build_gone``: a build was deleted.
    """
    with hub.multicall(strict=False) as calls:
        builds = {nvr: calls.getBuild(nvr) for nvr in nvrs}
        listed = {nvr: calls.listBuildRPMs(nvr) for nvr in nvrs}
    _check_all_there(module, {nvr: outcome(build) for nvr, build in builds.items()}, set(nvrs))
    rpms = _with_headers(hub, {nvr: outcome(found) for nvr, found in listed.items()})
    document = parse_stream(module.modulemd, strict=False)
    finals = final_documents(document, [rpm.built for rpm in rpms], module.arches)
    return FinalDocuments({arch: dump(final) for arch, final in finals.items()}, _sizes(finals, rpms))


def _sizes(finals: Mapping[str, StreamV2], rpms: Iterable[KojiRpm]) -> dict[str, dict[str, int]]:
    """Return the sizes of the RPMs of each document."""
    sizes = {rpm.built.nevra: rpm.size for rpm in rpms if rpm.size is not None}
    return {
        arch: {nevra: sizes[nevra] for nevra in final.artifact_rpms if nevra in sizes}
        for arch, final in finals.items()
    }


def _with_headers(hub: Hub, listed: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[KojiRpm]:
    """Return the RPMs of builds with data from their headers, in one multicall."""
    rows = [(nvr.rsplit("-", 2)[0], rpm) for nvr, rpms in listed.items() for rpm in rpms]
    # Debugging packages have the license of their main package, and their headers would cost most.
    asked = [rpm["id"] for _, rpm in rows if not rpm["name"].endswith(_DEBUG)]
    with hub.multicall() as calls:
        promises = {number: calls.getRPMHeaders(rpmID=number, headers=_HEADERS) for number in asked}
    headers = {number: promise.result for number, promise in promises.items()}
    sources = {source: headers.get(rpm["id"], {}) for source, rpm in rows if rpm["arch"] == SOURCE}
    return [_rpm(source, rpm, headers.get(rpm["id"], {}), sources.get(source, {})) for source, rpm in rows]


def _check_all_there(
    module: Module, builds: Mapping[str, Mapping[str, Any] | None], tagged: set[str]
) -> None:
    deleted = [nvr for nvr, build in builds.items() if build is None or build["state"] != _COMPLETE]
    untagged = [nvr for nvr in builds if nvr not in tagged and nvr not in deleted]
    what = [f"{', '.join(deleted)} was deleted"] if deleted else []
    what += [f"{', '.join(untagged)} is no longer in {module.tag}"] if untagged else []
    if what:
        raise BuildSystemError(
            f"Koji lacks builds of {module.nsvc}: {'; '.join(what)}.",
            code="koji_build_gone",
            hint="Submit the module with a newer commit, since Koji does not build an NVR twice."
            if deleted
            else "Resubmit the module, which tags its builds again.",
        )


def _rpm(
    source: str, rpm: Mapping[str, Any], header: Mapping[str, Any], source_header: Mapping[str, Any]
) -> KojiRpm:
    built = BuiltRpm(
        name=rpm["name"],
        epoch=rpm["epoch"] or 0,
        version=rpm["version"],
        release=rpm["release"],
        arch=rpm["arch"],
        source=source,
        license=_license(rpm, header),
        excludearch=_arches(rpm, source_header, "excludearch"),
        exclusivearch=_arches(rpm, source_header, "exclusivearch"),
    )
    return KojiRpm(built, rpm["payloadhash"], rpm.get("size"))


def _license(rpm: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    """Return the license, which becomes part of the module's documents."""
    found = header.get("license") or ""
    if not isinstance(found, str) or len(found) > _LICENSE or not found.isprintable():
        raise _refused(rpm, f"its license is longer than {_LICENSE} characters, or not printable")
    return found


def _arches(rpm: Mapping[str, Any], header: Mapping[str, Any], name: str) -> frozenset[str]:
    found = header.get(name) or ()
    if len(found) > _ARCHES:
        raise _refused(rpm, f"{name} of its source package names more than {_ARCHES} architectures")
    return frozenset(map(str, found))


def _refused(rpm: Mapping[str, Any], reason: str) -> BuildSystemError:
    return BuildSystemError(
        f"The RPM {rpm['name']}-{rpm['version']}-{rpm['release']}.{rpm['arch']} cannot be part of a module: "
        f"{reason}.",
        code="bad_package",
        hint="Correct the spec file of its component, and submit the module again.",
    )


def _log(module: Module, builds: Iterable[Mapping[str, Any]]) -> str:
    """Return the components' builds in the order of their completion."""
    lines = [f"{module.nsvc} (module build {module.id}), tag {module.tag}"]
    for build in sorted(builds, key=lambda build: (build["completion_ts"] or 0, build["nvr"])):
        ended = datetime.fromtimestamp(build["completion_ts"] or 0, UTC)
        lines.append(f"{ended:%Y-%m-%d %H:%M:%S} {build['nvr']} task {build['task_id']}")
    return "\n".join(lines) + "\n"
