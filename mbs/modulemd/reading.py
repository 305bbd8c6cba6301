"""Read the parts that several kinds of documents have in common."""

from __future__ import annotations

from mbs.modulemd.checks import check_signs
from mbs.modulemd.documents import (
    Buildopts,
    Content,
    Dependencies,
    ModuleComponent,
    Profile,
    RpmComponent,
    Stream,
)
from mbs.modulemd.fields import Fields


def read_shared(data: Fields, document: Content, *, packager_v2: bool = False) -> None:
    """Read the fields of ``Content`` from a mapping into a document.

    Args:
        packager_v2: Treat name, stream and xmd as unknown keys; the build system adds them.
    """
    if not packager_v2:
        document.name = data.text("name") or ""
        document.stream = data.text("stream") or ""
        document.xmd = read_xmd(data)
    document.summary = data.text("summary") or ""
    document.description = data.text("description") or ""
    for key in ("summary", "description"):
        if key not in data:
            data.problem("missing_key", f"{data.path} has no {key}.", key)
    references = data.mapping("references")
    document.community = references.text("community")
    document.documentation = references.text("documentation")
    document.tracker = references.text("tracker")
    references.close()
    document.profiles = {name: _profile(fields) for name, fields in data.mapping("profiles").mappings()}
    document.api_rpms = read_rpms(data, "api")
    document.filter_rpms = read_rpms(data, "filter")
    components = data.mapping("components")
    document.rpm_components = {
        key: _rpm_component(key, fields) for key, fields in components.mapping("rpms").mappings()
    }
    document.module_components = {
        key: _module_component(key, fields) for key, fields in components.mapping("modules").mappings()
    }
    components.close()


def read_stream(data: Fields, document: Stream) -> None:
    """Read the fields of ``Stream`` from a mapping into a document."""
    read_shared(data, document)
    document.version = data.integer("version") or None
    document.context = data.text("context") or ""
    document.arch = data.text("arch") or ""
    licenses = data.mapping("license")
    document.module_licenses = read_module_licenses(data, licenses)
    document.content_licenses = licenses.names("content")
    licenses.close()
    for name, level in data.mapping("servicelevels").mappings():
        document.servicelevels[name] = level.date("eol")
        level.close()
    document.buildopts = read_buildopts(data)


def read_xmd(data: Fields) -> object:
    """Return the value of ``xmd``; refuse a list, as libmodulemd does."""
    xmd = data.tree("xmd")
    if isinstance(xmd, list):
        data.problem("invalid_type", f"{data.key('xmd')} must be a mapping.", "xmd")
    return xmd or {}


def read_module_licenses(data: Fields, licenses: Fields) -> list[str]:
    """Return the licenses of the module, and check that there is one."""
    module = licenses.names("module")
    if not module:
        at, key = (licenses, "module") if "license" in data else (data, "license.module")
        at.problem("missing_key", f"{data.path} has no license.module.", key)
    return module


def read_rpms(data: Fields, key: str) -> list[str]:
    """Return the list ``rpms`` of a section that has no other key."""
    section = data.mapping(key)
    rpms = section.names("rpms")
    section.close()
    return rpms


def read_buildopts(data: Fields) -> Buildopts:
    """Read ``buildopts``."""
    options = data.mapping("buildopts")
    rpms = options.mapping("rpms")
    result = Buildopts(rpms.text("macros"), rpms.names("whitelist"), options.names("arches"))
    rpms.close()
    options.close()
    return result


def read_dependencies(data: Fields) -> list[Dependencies]:
    """Read the dependency lists of a v2 document."""
    result = []
    for fields in data.sequence("dependencies"):
        buildrequires = read_streams(fields, "buildrequires")
        requires = read_streams(fields, "requires")
        fields.close()
        result.append(Dependencies(buildrequires, requires))
    return result


def read_streams(fields: Fields, key: str) -> dict[str, list[str]]:
    """Read module name -> streams."""
    modules = fields.mapping(key)
    result = {name: modules.names(name) for name in modules}
    check_signs(modules, result)
    return result


def _profile(fields: Fields) -> Profile:
    profile = Profile(fields.names("rpms"), fields.text("description"), fields.boolean("default"))
    fields.close()
    return profile


def _rpm_component(key: str, fields: Fields) -> RpmComponent:
    component = RpmComponent(
        name=fields.text("name") or key,
        rationale=fields.text("rationale"),
        repository=fields.text("repository"),
        cache=fields.text("cache"),
        ref=fields.text("ref"),
        buildroot=fields.boolean("buildroot"),
        srpm_buildroot=fields.boolean("srpm-buildroot"),
        buildonly=fields.boolean("buildonly"),
        buildorder=fields.buildorder(),
        buildafter=fields.names("buildafter"),
        arches=fields.names("arches"),
        multilib=fields.names("multilib"),
    )
    fields.close()
    return component


def _module_component(key: str, fields: Fields) -> ModuleComponent:
    component = ModuleComponent(
        name=key,
        rationale=fields.text("rationale"),
        repository=fields.text("repository"),
        ref=fields.text("ref"),
        buildonly=fields.boolean("buildonly"),
        buildorder=fields.buildorder(),
    )
    fields.close()
    return component
