"""The filters of each list (contract: rest, Lists)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django import forms
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
from builds.services.systems import tags_holding
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

    name = CharFilter(strip=False)
    stream = CharFilter(strip=False)
    version = CharFilter(strip=False)
    context = CharFilter(strip=False)
    state = ModuleStatesFilter("state")
    state_reason = CharFilter(strip=False)
    error_code = CharFilter(strip=False)
    scratch = FlagFilter()
    owner = CharFilter(strip=False)
    scmurl = CharFilter(strip=False)
    modulemd = CharFilter(strip=False)
    srpms = JSONFilter()
    rebuild_strategy = CharFilter(strip=False)
    batch = WholeFilter()
    build_context = CharFilter(strip=False)
    build_context_no_bms = CharFilter(strip=False)
    runtime_context = CharFilter(strip=False)
    stream_version = FloatFilter()
    koji_tag = CharFilter(strip=False)
    cg_build_koji_tag = CharFilter(strip=False)
    new_repo_task_id = WholeFilter()
    reuse_components_from = WholeFilter("reuse_components_from_id")
    reuse_components_from_id = WholeFilter()
    reused_module_id = WholeFilter()

    nsvc = CharFilter(method="filter_nsvc")
    rpm = CharFilter(method="filter_rpm")
    virtual_stream = VirtualStreamFilter("virtual_streams")
    stream_version_lte = FloatFilter(method="filter_stream_version_lte", min_value=LEAST_STREAM_VERSION)
    submitted_after = AfterFilter("time_submitted")
    submitted_before = BeforeFilter("time_submitted")
    modified_after = AfterFilter("time_modified")
    modified_before = BeforeFilter("time_modified")
    completed_after = AfterFilter("time_completed")
    completed_before = BeforeFilter("time_completed")

    base_module_br = BaseModuleText()
    base_module_br_name = BaseModuleText("name")
    base_module_br_stream = BaseModuleText("stream")
    base_module_br_version = BaseModuleText("version")
    base_module_br_context = BaseModuleText("context")
    base_module_br_stream_version = BaseModuleFloat("stream_version")
    base_module_br_stream_version_lte = BaseModuleFloat("stream_version__lte")
    base_module_br_stream_version_gte = BaseModuleFloat("stream_version__gte")

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

    package = CharFilter(strip=False)
    format = CharFilter(strip=False)
    scmurl = CharFilter(strip=False)
    ref = CharFilter(strip=False)
    state = ComponentStatesFilter("state")
    state_reason = CharFilter(strip=False)
    task_id = WholeFilter()
    nvr = CharFilter(strip=False)
    batch = WholeFilter()
    weight = FloatFilter()
    tagged = FlagFilter()
    tagged_in_final = FlagFilter()
    build_time_only = FlagFilter()
    reused_component_id = WholeFilter()
    module_build = WholeFilter("module_build_id")
    module_id = WholeFilter("module_build_id")


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
    *("tagged", "tagged_in_final", "build_time_only", "reused_component_id"),
    module_build=("module_build_id",),
    module_id=("module_build_id",),
)
