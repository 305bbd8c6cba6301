"""The filters of each list (docs/contract/rest.md, "Lists")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Length
from django_filters import CharFilter, Filter

from builds.api.filters import (
    AfterFilter,
    BeforeFilter,
    BuildFilterSet,
    FlagFilter,
    FloatFilter,
    JSONFilter,
    ManyField,
    ManyFilter,
    WholeFilter,
)
from builds.api.parameters import invalid
from builds.models import BuildRequirement, ModuleBuild
from builds.services.build_system import tags_holding
from mbs.errors import InvalidInput
from mbs.nsvc import NSVC
from mbs.states import BUILD_STATES, COMPONENT_STATES, parse_build_state

#: stream versions below it belong to no platform, such as "10.0.0" -> 100000
LEAST_STREAM_VERSION = 10000
#: beyond it, modules that builds may require are left to a subquery
MOST_BASE_MODULES = 100


class ModuleStatesField(ManyField):
    """States of module builds, as numbers or names."""

    widget = forms.SelectMultiple(choices=[(word, word) for word in BUILD_STATES])

    def one(self, text: str) -> int:
        try:
            return int(parse_build_state(text))
        except InvalidInput as error:
            raise forms.ValidationError(f"{error.message} {error.hint}") from error


class ComponentStatesField(ManyField):
    """States of component builds, as numbers or as Koji names them."""

    widget = forms.SelectMultiple(choices=[(name, name) for name in COMPONENT_STATES])

    def one(self, text: str) -> int:
        numbers = {str(number): number for number in COMPONENT_STATES.values()}
        found = COMPONENT_STATES.get(text.upper(), numbers.get(text))
        if found is None:
            names = ", ".join(f"{number} {name}" for name, number in COMPONENT_STATES.items())
            raise forms.ValidationError(f"There is no state {text[:40]!r}. States are {names}.")
        return found


class ModuleStatesFilter(ManyFilter):
    field_class = ModuleStatesField


class ComponentStatesFilter(ManyFilter):
    field_class = ComponentStatesField


class VirtualStreamFilter(ManyFilter):
    """Builds that have one of these virtual streams; a subquery, so that no build comes twice."""

    def filter(self, qs: QuerySet[ModuleBuild], value: list[str]) -> QuerySet[ModuleBuild]:
        links = ModuleBuild.virtual_streams.through.objects.filter(virtualstream__name__in=value)
        return qs.filter(pk__in=links.values("modulebuild_id"))


class BaseModuleFilter(Filter):
    """One condition on the base modules of a build; the FilterSet joins them: one must meet them all."""

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        return qs


class BaseModuleText(BaseModuleFilter):
    field_class = forms.CharField


class BaseModuleFloat(BaseModuleFilter):
    field_class = forms.FloatField


class ModuleBuildFilterSet(BuildFilterSet):
    """Filters of module builds."""

    name = CharFilter(strip=False, help_text="Name of the module")
    stream = CharFilter(strip=False, help_text="Stream of the module")
    version = CharFilter(strip=False, help_text="Version, in decimal digits")
    context = CharFilter(strip=False, help_text="Context")
    state = ModuleStatesFilter(
        "state", help_text="State as a number or a word; may be given several times, one of them must fit"
    )
    state_reason = CharFilter(strip=False, help_text="Reason of the state, as answers show it")
    error_code = CharFilter(strip=False, help_text="Code of the error that ended the build")
    scratch = FlagFilter(help_text="Whether it is a scratch build")
    owner = CharFilter(strip=False, help_text="Who submitted it")
    scmurl = CharFilter(strip=False, help_text="Address and commit of the modulemd file")
    modulemd = CharFilter(strip=False, help_text="Text of the expanded document")
    srpms = JSONFilter(help_text="Uploaded source RPMs, as a JSON list")
    rebuild_strategy = CharFilter(strip=False, help_text="Rebuild strategy")
    batch = WholeFilter(help_text="Number of the batch that it builds")
    build_context = CharFilter(strip=False, help_text="Hash of what it was built against")
    build_context_no_bms = CharFilter(strip=False, help_text="The same hash without base modules")
    runtime_context = CharFilter(strip=False, help_text="Hash of what it requires")
    stream_version = FloatFilter(help_text="Version of the stream as a number, such as 300000 for f30")
    koji_tag = CharFilter(strip=False, help_text="Tag in Koji")
    cg_build_koji_tag = CharFilter(strip=False, help_text="Tag into which Koji's import was tagged")
    new_repo_task_id = WholeFilter(help_text="Number of the task that makes the repository")
    reuse_components_from = WholeFilter(
        "reuse_components_from_id", help_text="Number of the build whose components it was to reuse"
    )
    reuse_components_from_id = WholeFilter(help_text="The same as reuse_components_from")
    reused_module_id = WholeFilter(help_text="Number of the build whose components it reused")

    nsvc = CharFilter(
        method="filter_nsvc", help_text="Name, stream, version and context: name[:stream[:version[:context]]]"
    )
    rpm = CharFilter(method="filter_rpm", help_text="NEVRA of an RPM that the build holds (Koji only)")
    virtual_stream = VirtualStreamFilter(
        "virtual_streams",
        help_text="Virtual stream of a base module; may be given several times, one of them must fit",
    )
    stream_version_lte = FloatFilter(
        method="filter_stream_version_lte",
        min_value=LEAST_STREAM_VERSION,
        help_text="Highest stream version, from the beginning of the same major version; 10000 at least",
    )
    submitted_after = AfterFilter("time_submitted", help_text="Earliest time of submission (UTC)")
    submitted_before = BeforeFilter("time_submitted", help_text="Latest time of submission (UTC)")
    modified_after = AfterFilter("time_modified", help_text="Earliest time of the last change (UTC)")
    modified_before = BeforeFilter("time_modified", help_text="Latest time of the last change (UTC)")
    completed_after = AfterFilter("time_completed", help_text="Earliest time of the end (UTC)")
    completed_before = BeforeFilter(
        "time_completed", help_text="Latest time of the end (UTC); unfinished builds are left out"
    )

    base_module_br = BaseModuleText(
        help_text="A base module that it was built against: name:stream:version:context"
    )
    base_module_br_name = BaseModuleText("name", help_text="Name of a base module that it was built against")
    base_module_br_stream = BaseModuleText("stream", help_text="Stream of that base module")
    base_module_br_version = BaseModuleText("version", help_text="Version of that base module")
    base_module_br_context = BaseModuleText("context", help_text="Context of that base module")
    base_module_br_stream_version = BaseModuleFloat(
        "stream_version", help_text="Stream version of that base module"
    )
    base_module_br_stream_version_lte = BaseModuleFloat(
        "stream_version__lte", help_text="Highest stream version of that base module"
    )
    base_module_br_stream_version_gte = BaseModuleFloat(
        "stream_version__gte", help_text="Lowest stream version of that base module"
    )

    def filter_queryset(self, queryset: QuerySet[ModuleBuild]) -> QuerySet[ModuleBuild]:
        queryset = super().filter_queryset(queryset)
        wanted: dict[str, Any] = {}
        for name, value in self.form.cleaned_data.items():
            if name == "base_module_br":
                wanted |= vars(_nsvc(name, value))
            elif isinstance(self.filters[name], BaseModuleFilter):
                wanted[self.filters[name].field_name] = value
        if not wanted:
            return queryset
        wanted["name__in"] = settings.MBS.BASE_MODULE_NAMES
        # Their numbers rather than a subquery: the database then knows how many builds to expect.
        base_modules = ModuleBuild.objects.filter(**wanted).values_list("pk", flat=True)[:MOST_BASE_MODULES]
        found = list(base_modules)
        if len(found) == MOST_BASE_MODULES:
            found = ModuleBuild.objects.filter(**wanted).values("pk")
        links = BuildRequirement.objects.filter(required__in=found)
        return queryset.filter(pk__in=links.values("module_build_id"))

    def filter_nsvc(self, queryset: QuerySet[ModuleBuild], name: str, value: str) -> QuerySet[ModuleBuild]:
        """By as many parts of N:S:V:C as are given."""
        parts = value.split(":")
        if len(parts) > 4 or not all(parts):
            raise invalid(name, "Write name[:stream[:version[:context]]].")
        return queryset.filter(**dict(zip(("name", "stream", "version", "context"), parts, strict=False)))

    def filter_rpm(self, queryset: QuerySet[ModuleBuild], name: str, value: str) -> QuerySet[ModuleBuild]:
        """By an RPM that a build holds."""
        # A plus in a query string is a space, and no RPM's name has one.
        return queryset.filter(koji_tag__in=tags_holding(value.replace(" ", "+")))

    def filter_stream_version_lte(
        self, queryset: QuerySet[ModuleBuild], name: str, value: float
    ) -> QuerySet[ModuleBuild]:
        """Of the same major version (from XX0000), up to this one."""
        least = math.floor(value / LEAST_STREAM_VERSION) * LEAST_STREAM_VERSION
        return queryset.filter(stream_version__gte=least, stream_version__lte=value)


class ComponentBuildFilterSet(BuildFilterSet):
    """Filters of component builds."""

    package = CharFilter(strip=False, help_text="Name of the source package")
    format = CharFilter(strip=False, help_text="Format: rpms")
    scmurl = CharFilter(strip=False, help_text="Address of the sources")
    ref = CharFilter(strip=False, help_text="Commit of the sources")
    state = ComponentStatesFilter(
        "state", help_text="State as Koji's number or name; may be given several times, one of them must fit"
    )
    state_reason = CharFilter(strip=False, help_text="Reason of the state")
    task_id = WholeFilter(help_text="Number of the task in the build system")
    nvr = CharFilter(strip=False, help_text="Name-version-release of the build")
    batch = WholeFilter(help_text="Number of the batch")
    weight = FloatFilter(help_text="Expected seconds")
    tagged = FlagFilter(help_text="Whether it is in the tag of the buildroot")
    tagged_in_final = FlagFilter(help_text="Whether it is in the tag of the module")
    buildonly = FlagFilter(help_text="Whether the document says that it is for building only")
    build_time_only = FlagFilter(help_text="Whether it is needed for building only, and not shipped")
    reused_component_id = WholeFilter(help_text="Number of the component build that it reuses")
    module_build = WholeFilter("module_build_id", help_text="Number of the module build")
    module_id = WholeFilter("module_build_id", help_text="The same as module_build")


def _nsvc(name: str, value: str) -> NSVC:
    try:
        return NSVC.parse(value)
    except InvalidInput as error:
        raise invalid(name, error.hint) from error


def _columns(*names: str, **others: tuple[Any, ...]) -> Mapping[str, tuple[Any, ...]]:
    return {name: (name,) for name in names} | others


#: column -> what to order by; versions are numbers in decimal digits: the longer, the larger
MODULE_ORDER = _columns(
    *("id", "name", "stream", "context", "state", "state_reason", "error_code", "scratch", "owner", "scmurl"),
    *("modulemd", "srpms", "rebuild_strategy", "batch", "build_context", "build_context_no_bms"),
    *("runtime_context", "stream_version", "koji_tag", "cg_build_koji_tag", "new_repo_task_id"),
    *("time_submitted", "time_modified", "time_completed", "reuse_components_from_id", "reused_module_id"),
    version=(Length("version"), "version"),
)
COMPONENT_ORDER = _columns(
    *(
        "id",
        "package",
        "format",
        "scmurl",
        "ref",
        "state",
        "state_reason",
        "task_id",
        "nvr",
        "batch",
        "weight",
    ),
    *("tagged", "tagged_in_final", "buildonly", "build_time_only", "reused_component_id"),
    module_build=("module_build_id",),
    module_id=("module_build_id",),
)
