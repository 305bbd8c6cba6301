"""The end of a module build: Content Generator imports, and the tag that consumers look into.

docs/contract/koji.md, "What a module build leaves in Koji", point 4, and "Import".
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
from mbs.final import SOURCE, BuiltRpm, final_documents
from mbs.modulemd import dump, parse_stream

#: headers of RPMs that Koji does not keep in its database
_HEADERS = ["license", "excludearch", "exclusivearch"]
#: What is kept of a header: characters of a license, and architectures.
_LICENSE, _ARCHES = 8192, 100
_DEBUG = ("-debuginfo", "-debugsource")
_COMPLETE = koji.BUILD_STATES["COMPLETE"]
_REPLACEABLE = [koji.BUILD_STATES["FAILED"], koji.BUILD_STATES["CANCELED"]]


@dataclass(frozen=True)
class ImportOptions:
    """What is imported, and where it is tagged.

    Attributes:
        template: Of the tag's name, ``{}`` is the stream of the base module; ``default`` is taken
            where that tag does not exist.
        tag: Whether it is tagged at all.
    """

    enabled: bool = True
    devel: bool = True
    tag: bool = True
    template: str = "{}-modular-updates-candidate"
    default: str = "modular-updates-candidate"


@dataclass(frozen=True)
class Finished:
    """What became of a finished module.

    Attributes:
        documents: The final documents by architecture.
        tag: Into which the imported module is tagged; empty: none.
    """

    documents: Mapping[str, str]
    tag: str = ""
    shipping: Shipping = field(default_factory=Shipping)


def finish(
    hub: Hub, module: Module, nvrs: Mapping[str, str], options: ImportOptions, base_stream: str
) -> Finished:
    """Import a module and ask for its tag. What an earlier try has done is not done again.

    Of a scratch build there are the documents only: it is no candidate for an update.

    Args:
        nvrs: Package -> NVR of its components.

    Raises:
        BuildSystemError: ``koji_build_taken`` when the module's NVR belongs to another module
            build, ``koji_build_gone`` when a component's build was deleted or untagged.
    """
    material = read(hub, module, sorted(nvrs.values()))
    imports = [main_import(module, material)]
    if options.devel:
        imports.append(devel_import(module, material))
    documents = {arch: imports[0].document(arch) for arch in (*module.arches, SOURCE)}
    if module.scratch or not options.enabled:
        return Finished(documents)
    name = options.template.format(base_stream)
    exists = _import_missing(hub, module, imports, name)
    if not options.tag:
        return Finished(documents)
    name = name if exists and base_stream else options.default
    return Finished(documents, name, shipping.ship(hub, module, name, [each.nvr for each in imports]))


def ship(hub: Hub, module: Module, tag: str, options: ImportOptions) -> Shipping:
    """Look whether an imported module was tagged, and ask for it once more where it was not."""
    names = [module.name, f"{module.name}-devel"] if options.devel else [module.name]
    return shipping.ship(hub, module, tag, [import_nvr(replace(module, name=name)) for name in names])


def _import_missing(hub: Hub, module: Module, imports: Sequence[Import], tag: str) -> bool:
    """Import what is not imported yet; answers whether there is a tag of this name."""
    with hub.multicall() as calls:
        known = {each.nvr: calls.getBuild(each.nvr) for each in imports}
        found = calls.getTag(tag)
    for each in imports:
        if not _there(each.nvr, known[each.nvr].result, module):
            _import(hub, module, each)
    return found.result is not None


def _import(hub: Hub, module: Module, each: Import) -> None:
    """Import one build, or find that another try has imported it meanwhile.

    A try may be under way unseen, in another process or on the hub, after a call that took too long to be
    waited for. Until it is committed, the hub refuses a second one.
    """
    try:
        # Not in a multicall: each is a long piece of work for the hub, to be committed by itself.
        hub.call("CGImport", dict(each.metadata), hub.upload(each.files))
    except BuildSystemError as refusal:
        if _there(each.nvr, hub.call("getBuild", each.nvr), module):
            return
        if TAKEN in refusal.message:
            raise BuildSystemUnavailable(
                f"{each.nvr} is being imported already, it seems. {refusal.message[:200]}",
                code="koji_import_under_way",
                hint="If this lasts, an import broke off: remove the folder that it has left on the hub, "
                f"packages/{folder(each.nvr)}.",
            ) from refusal
        raise


def folder(nvr: str) -> str:
    """Where Koji keeps a build, below ``packages``."""
    return "/".join(nvr.rsplit("-", 2))


def _there(nvr: str, build: Mapping[str, Any] | None, module: Module) -> bool:
    """Whether Koji has this build and it needs no other import.

    Raises:
        BuildSystemError: It is another module build's.
    """
    if build is None or build["state"] in _REPLACEABLE:
        return False
    _check_ours(nvr, build, module)
    return True


def _check_ours(nvr: str, build: Mapping[str, Any], module: Module) -> None:
    info = ((build.get("extra") or {}).get("typeinfo") or {}).get("module") or {}
    if (info.get("module_build_service_id"), info.get("content_koji_tag")) != (module.id, module.tag):
        raise BuildSystemError(
            f"Koji has a build {nvr} already, which is not of this module build.",
            code="koji_build_taken",
            hint="Two services must not build the same module; submit it with a newer commit.",
        )


def read(hub: Hub, module: Module, nvrs: Sequence[str]) -> Material:
    """What the components' builds are made of: a multicall about builds, one about headers of RPMs.

    Raises:
        BuildSystemError: ``koji_build_gone`` when a build was deleted or untagged.
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


def documents(hub: Hub, module: Module, nvrs: Sequence[str]) -> dict[str, str]:
    """Compute the final documents of a module that was finished long ago, without changing anything.

    Its builds need not be in its tag any more.

    Raises:
        BuildSystemError: ``koji_build_gone`` when a build was deleted.
    """
    with hub.multicall(strict=False) as calls:
        builds = {nvr: calls.getBuild(nvr) for nvr in nvrs}
        listed = {nvr: calls.listBuildRPMs(nvr) for nvr in nvrs}
    _check_all_there(module, {nvr: outcome(build) for nvr, build in builds.items()}, set(nvrs))
    rpms = _with_headers(hub, {nvr: outcome(found) for nvr, found in listed.items()})
    document = parse_stream(module.modulemd, strict=False)
    finals = final_documents(document, [rpm.built for rpm in rpms], module.arches)
    return {arch: dump(final) for arch, final in finals.items()}


def _with_headers(hub: Hub, listed: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[KojiRpm]:
    """Return the RPMs of builds, with what only their headers tell: a multicall."""
    rows = [(nvr.rsplit("-", 2)[0], rpm) for nvr, rpms in listed.items() for rpm in rpms]
    # Debugging packages share the licence of what they are about: their headers would cost most.
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
    what += [f"{', '.join(untagged)} was taken out of {module.tag}"] if untagged else []
    if what:
        raise BuildSystemError(
            f"Koji does not hold all that {module.nsvc} ships: {'; '.join(what)}.",
            code="koji_build_gone",
            hint="Submit the module with a newer commit: Koji builds no NVR twice."
            if deleted
            else "Resubmit the module: what was built is tagged again.",
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
    return KojiRpm(built, rpm["payloadhash"])


def _license(rpm: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    """The license, which the build wrote: it goes into the documents of the module."""
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
    """The components' builds in the order in which they were made."""
    lines = [f"{module.nsvc} (module build {module.id}), tag {module.tag}"]
    for build in sorted(builds, key=lambda build: (build["completion_ts"] or 0, build["nvr"])):
        ended = datetime.fromtimestamp(build["completion_ts"] or 0, UTC)
        lines.append(f"{ended:%Y-%m-%d %H:%M:%S} {build['nvr']} task {build['task_id']}")
    return "\n".join(lines) + "\n"
