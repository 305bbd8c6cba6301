"""Read stream and packager documents (modulemd v1 and v2, modulemd-packager v2 and v3)."""

from __future__ import annotations

from mbs.modulemd import checks, reading
from mbs.modulemd.documents import (
    Configuration,
    PackagerV2,
    PackagerV3,
    RpmMapEntry,
    StreamV1,
    StreamV2,
)
from mbs.modulemd.fields import Fields

#: Max nodes of all streams that a packager v3 document expands to. The largest documents in use (20
#: configurations of 500 components) need a quarter of it.
MAX_EXPANDED = 500_000


def read_stream_v1(data: Fields) -> StreamV1:
    """Read modulemd v1."""
    document = StreamV1()
    reading.read_stream(data, document)
    if "eol" in data:
        # By the specification, this old key is the service level "rawhide".
        document.servicelevels["rawhide"] = data.date("eol")
    dependencies = data.mapping("dependencies")
    document.buildrequires = _one_stream_each(dependencies, "buildrequires")
    document.requires = _one_stream_each(dependencies, "requires")
    dependencies.close()
    document.artifact_rpms = reading.read_rpms(data, "artifacts")
    _check_artifacts(data, document.artifact_rpms)
    checks.check_order(data, document.rpm_components, document.module_components)
    checks.check_arches(data, document.rpm_components, document.buildopts)
    data.close()
    return document


def read_stream_v2(data: Fields) -> StreamV2:
    """Read modulemd v2."""
    document = StreamV2()
    reading.read_stream(data, document)
    document.static_context = data.boolean("static_context")
    document.dependencies = reading.read_dependencies(data)
    document.demodularized_rpms = reading.read_rpms(data, "demodularized")
    artifacts = data.mapping("artifacts")
    document.artifact_rpms = artifacts.names("rpms")
    document.rpm_map = {
        digest: {checksum: _rpm_map_entry(entry) for checksum, entry in entries.mappings()}
        for digest, entries in artifacts.mapping("rpm-map").mappings()
    }
    artifacts.close()
    _check_artifacts(data, document.artifact_rpms)
    checks.check_static_context(data, document.static_context)
    checks.check_order(data, document.rpm_components, document.module_components)
    checks.check_arches(data, document.rpm_components, document.buildopts)
    data.close()
    return document


def read_packager_v2(data: Fields) -> PackagerV2:
    """Read modulemd-packager v2."""
    document = PackagerV2()
    reading.read_shared(data, document, packager_v2=True)
    licenses = data.mapping("license")
    document.module_licenses = reading.read_module_licenses(data, licenses)
    licenses.close()
    document.static_context = data.boolean("static_context")
    document.dependencies = reading.read_dependencies(data)
    document.demodularized_rpms = reading.read_rpms(data, "demodularized")
    checks.check_order(data, document.rpm_components, document.module_components)
    data.close()
    return document


def read_packager_v3(data: Fields) -> PackagerV3:
    """Read modulemd-packager v3. Unknown keys are always errors, as in libmodulemd."""
    data = data.strictly()
    document = PackagerV3()
    reading.read_shared(data, document)
    document.module_licenses = data.names("license")
    document.demodularized_rpms = reading.read_rpms(data, "demodularized")
    configurations = data.sequence("configurations")
    if len(configurations) * data.size() > MAX_EXPANDED:
        data.problem("too_large", "The document is too large for so many configurations.", "configurations")
        return document
    seen: set[str] = set()
    for fields in configurations:
        configuration = _configuration(fields)
        if configuration.context in seen:
            fields.problem(
                "duplicate_context", f"The context {configuration.context!r} is used twice.", "context"
            )
        seen.add(configuration.context)
        document.configurations.append(configuration)
        checks.check_arches(data, document.rpm_components, configuration.buildopts)
    if not document.configurations:
        data.problem("missing_key", "data.configurations must list at least one.", "configurations")
    checks.check_order(data, document.rpm_components, document.module_components)
    data.close()
    return document


def _configuration(fields: Fields) -> Configuration:
    context, platform = fields.text("context"), fields.text("platform")
    checks.check_packager_context(fields, context)
    if platform is None:
        fields.problem("missing_key", f"{fields.path} has no platform.", "platform")
    configuration = Configuration(
        context or "",
        platform or "",
        _single_streams(fields, "buildrequires"),
        _single_streams(fields, "requires"),
        reading.read_buildopts(fields),
    )
    fields.close()
    return configuration


def _single_streams(fields: Fields, key: str) -> dict[str, str]:
    """Return module name -> the only stream in its list."""
    modules = fields.mapping(key)
    result = {}
    for name in modules:
        streams = modules.names(name)
        if len(streams) != 1:
            modules.problem("not_one_stream", f"{modules.key(name)} must list exactly one stream.", name)
        else:
            result[name] = streams[0]
    return result


def _one_stream_each(fields: Fields, key: str) -> dict[str, str]:
    """Return module name -> stream, in the form of v1."""
    modules = fields.mapping(key)
    return {name: modules.text(name) or "" for name in modules}


def _check_artifacts(data: Fields, rpms: list[str]) -> None:
    for rpm in rpms:
        if not checks.is_nevra(rpm):
            data.mapping("artifacts").problem(
                "invalid_nevra",
                f"The artifact {rpm[:200]!r} is not written name-epoch:version-release.arch.",
                "rpms",
            )


def _rpm_map_entry(fields: Fields) -> RpmMapEntry:
    values = {key: fields.text(key) for key in ("name", "version", "release", "arch", "nevra")}
    epoch = fields.integer("epoch")
    fields.close()
    missing = [key for key in (*values, "epoch") if key not in fields]
    for key in missing:
        fields.problem("missing_key", f"{fields.path} has no {key}.", key)
    nevra = values.pop("nevra")
    entry = RpmMapEntry(epoch=epoch or 0, **{key: value or "" for key, value in values.items()})
    if not missing and nevra != entry.nevra:
        fields.problem(
            "invalid_nevra", f"nevra is {nevra!r:.200}, but its parts make {entry.nevra!r:.200}.", "nevra"
        )
    return entry
