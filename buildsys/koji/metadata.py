"""Make metadata and files for the Content Generator import of a module, without calling the hub.

See docs/contract/koji.md, "What a module build leaves in Koji", point 4, and "Import". The format is Koji's
"Content Generator Metadata", version 0.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import jsonschema

from buildsys.base import BuildSystemError, Module
from buildsys.koji.schema import METADATA
from mbs import __version__
from mbs.final import SOURCE, BuiltRpm, content, final_documents
from mbs.modulemd import StreamV2, dump, parse_stream

GENERATOR = "module-build-service"
_LOG = "build.log"
_AS_BUILT = "modulemd.txt"


@dataclass(frozen=True)
class KojiRpm:
    """An RPM of a component with Koji's checksum of its content, and its size in bytes if Koji knows it."""

    built: BuiltRpm
    sigmd5: str
    size: int | None = None

    @property
    def component(self) -> dict[str, Any]:
        """The RPM as an entry in a list of components."""
        rpm = self.built
        return {
            "type": "rpm",
            "name": rpm.name,
            "version": rpm.version,
            "release": rpm.release,
            "epoch": rpm.epoch or None,
            "arch": rpm.arch,
            "sigmd5": self.sigmd5,
            "signature": None,
        }


@dataclass(frozen=True)
class Material:
    """The parts of a finished module.

    Attributes:
        owner: Name of the Koji user who owns the import.
        started: Seconds since the epoch.
        ended: Seconds since the epoch.
        log: Text for people about the build.
    """

    rpms: Sequence[KojiRpm]
    owner: str
    started: float
    ended: float
    log: str


@dataclass(frozen=True)
class Import:
    """A build to import.

    Attributes:
        nvr: ``name-version-release``.
        files: Name -> content of the files to upload.
        documents: The final document for each architecture and ``src``.
    """

    nvr: str
    metadata: Mapping[str, Any]
    files: Mapping[str, bytes]
    documents: Mapping[str, StreamV2]

    def document(self, arch: str) -> str:
        """Return the final document for an architecture or ``src``."""
        return self.files[f"modulemd.{arch}.txt"].decode()


def main_import(module: Module, material: Material) -> Import:
    """Return the import of the module itself."""
    document = parse_stream(module.modulemd, strict=False)
    documents = final_documents(document, [rpm.built for rpm in material.rpms], module.arches)
    return _import(module, document, documents, material)


def devel_import(module: Module, material: Material) -> Import:
    """Return the import of ``N-devel``, which contains the RPMs that are not in the module."""
    document = parse_stream(module.modulemd, strict=False)
    rpms = [rpm.built for rpm in material.rpms]
    everything = deepcopy(document)
    everything.filter_rpms = []
    for component in everything.rpm_components.values():
        component.buildonly = False
    devel = replace(
        deepcopy(everything),
        name=f"{document.name}-devel",
        api_rpms=[],
        profiles={},
        dependencies=[
            replace(each, requires={**each.requires, str(document.name): [str(document.stream)]})
            for each in document.dependencies
        ],
    )
    documents = final_documents(devel, rpms, module.arches)
    for arch, each in documents.items():
        held = {rpm.nevra for rpm in content(document, rpms, arch)}
        rest = [rpm for rpm in content(everything, rpms, arch) if rpm.nevra not in held]
        each.artifact_rpms = sorted(rpm.nevra for rpm in rest)
        each.content_licenses = sorted({rpm.license for rpm in rest if rpm.license})
    return _import(replace(module, name=f"{module.name}-devel"), devel, documents, material)


def _import(
    module: Module, document: StreamV2, documents: Mapping[str, StreamV2], material: Material
) -> Import:
    as_built = dump(document)
    files = {_AS_BUILT: as_built.encode(), _LOG: material.log.encode()}
    files |= {f"modulemd.{arch}.txt": dump(each).encode() for arch, each in documents.items()}
    components = {rpm.built.nevra: rpm.component for rpm in material.rpms}
    held = {arch: [components[nevra] for nevra in each.artifact_rpms] for arch, each in documents.items()}
    everything = [component for _, component in sorted(components.items())]
    output = [_file(_AS_BUILT, files[_AS_BUILT], "noarch", everything)]
    output += [
        _file(
            f"modulemd.{arch}.txt",
            files[f"modulemd.{arch}.txt"],
            arch,
            everything if arch == SOURCE else held[arch],
        )
        for arch in documents
    ]
    output.append(_file(_LOG, files[_LOG], "noarch", None))
    nvr = module.nsvc.nvr
    source = document.mbs.get("scmurl")
    metadata = {
        "metadata_version": 0,
        "build": {
            **nvr,
            "source": source if isinstance(source, str) else None,
            "owner": material.owner,
            "start_time": material.started,
            "end_time": material.ended,
            "extra": {"typeinfo": {"module": _typeinfo(module, as_built)}},
        },
        "buildroots": [_buildroot()],
        "output": output,
    }
    check(metadata)
    return Import(import_nvr(module), metadata, files, documents)


def import_nvr(module: Module) -> str:
    """Return the name-version-release of a module in Koji."""
    return module.nsvc.nvr_string


def _typeinfo(module: Module, modulemd: str) -> dict[str, Any]:
    return {
        "module_build_service_id": module.id,
        "content_koji_tag": module.tag,
        "modulemd_str": modulemd,
        "name": module.name,
        "stream": module.stream,
        "version": module.version,
        "context": module.context,
    }


def _file(
    name: str, content_: bytes, arch: str, components: Iterable[Mapping[str, Any]] | None
) -> dict[str, Any]:
    """Return the entry of a file; one without components is a log."""
    entry: dict[str, Any] = {
        "buildroot_id": 1,
        "filename": name,
        "filesize": len(content_),
        "checksum_type": "sha256",
        "checksum": hashlib.sha256(content_).hexdigest(),
        "arch": arch,
        "type": "log" if components is None else "file",
    }
    if components is not None:
        entry |= {"extra": {"typeinfo": {"module": {}}}, "components": list(components)}
    return entry


def _buildroot() -> dict[str, Any]:
    machine = platform.machine()
    return {
        "id": 1,
        "host": {"arch": machine, "os": platform.system()},
        "content_generator": {"name": GENERATOR, "version": __version__},
        "container": {"arch": machine, "type": "none"},
        "components": [],
        "tools": [],
    }


def check(metadata: Mapping[str, Any]) -> None:
    """Check metadata against the schema, because the hub does not say which key is missing.

    Raises:
        BuildSystemError: ``invalid_metadata``; the message names the key.
    """
    error = jsonschema.exceptions.best_match(jsonschema.Draft7Validator(METADATA).iter_errors(metadata))
    if error is not None:
        place = "/".join(map(str, error.absolute_path)) or "the top"
        raise BuildSystemError(
            f"The metadata of the module is invalid at {place}: {error.message[:300]}",
            code="invalid_metadata",
            hint="This is a bug in the service; please report it.",
        )
