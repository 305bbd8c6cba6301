"""The filters and the order of each list (docs/contract/rest.md, "Lists")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Length
from django_filters import CharFilter, Filter
from drf_spectacular.utils import extend_schema_field

from builds.api.filters import (
    EMPTY,
    AfterFilter,
    AnyOfField,
    AnyOfFilter,
    BeforeFilter,
    BuildFilterSet,
    FlagFilter,
    FloatFilter,
    IntegerFilter,
    JSONFilter,
)
from builds.api.parameters import invalid
from builds.models import BuildRequirement, ModuleBuild
from builds.selectors import patterns, search
from builds.services.build_system import tags_holding
from mbs.errors import InvalidInput
from mbs.nsvc import NSVC
from mbs.states import BUILD_STATES, COMPONENT_STATES, parse_build_state

#: Stream versions of a major version begin at a multiple of this: "1" is 10000, "10.0.0" is 100000.
MAJOR_VERSION_STEP = 10000
#: Up to this many base modules are passed to the database as ids, more as a subquery.
MAX_BASE_MODULE_IDS = 100


class ModuleStatesField(AnyOfField):
    """A form field for states of module builds, as numbers or names."""

    widget = forms.SelectMultiple(choices=[(word, word) for word in BUILD_STATES])

    def one(self, text: str) -> int:
        """Return the number of a state."""
        try:
            return int(parse_build_state(text))
        except InvalidInput as error:
            raise forms.ValidationError(f"{error.message} {error.hint}") from error


class ComponentStatesField(AnyOfField):
    """A form field for states of component builds, as Koji's numbers or names."""

    widget = forms.SelectMultiple(choices=[(name, name) for name in COMPONENT_STATES])

    def one(self, text: str) -> int:
        """Return the number of a state."""
        numbers = {str(number): number for number in COMPONENT_STATES.values()}
        found = COMPONENT_STATES.get(text.upper(), numbers.get(text))
        if found is None:
            names = ", ".join(f"{number} {name}" for name, number in COMPONENT_STATES.items())
            raise forms.ValidationError(f"There is no state {text[:40]!r}. States are {names}.")
        return found


@extend_schema_field(
    {"type": "array", "items": {"enum": [*BUILD_STATES, *map(str, BUILD_STATES.values()), ""]}}
)
class ModuleStatesFilter(AnyOfFilter):
    """Filter by states of module builds."""

    field_class = ModuleStatesField


@extend_schema_field(
    {"type": "array", "items": {"enum": [*COMPONENT_STATES, *map(str, COMPONENT_STATES.values()), ""]}}
)
class ComponentStatesFilter(AnyOfFilter):
    """Filter by states of component builds."""

    field_class = ComponentStatesField


class VirtualStreamFilter(AnyOfFilter):
    """Filter for builds that have any of the virtual streams."""

    def filter(self, qs: QuerySet[ModuleBuild], value: list[str]) -> QuerySet[ModuleBuild]:
        """Filter by a subquery: a join would return a build once for each of its matching streams."""
        links = ModuleBuild.virtual_streams.through.objects.filter(virtualstream__name__in=value)
        return qs.filter(pk__in=links.values("modulebuild_id"))


class BaseModuleFilter(Filter):
    """A condition on the base modules of a build.

    ``ModuleBuildFilterSet`` requires one module to meet all of them.
    """

    def filter(self, qs: QuerySet[Any], value: Any) -> QuerySet[Any]:
        """Return all rows: the FilterSet applies the condition."""
        return qs


class BaseModuleTextFilter(BaseModuleFilter):
    """A condition on a text column of a base module."""

    field_class = forms.CharField


@extend_schema_field({"anyOf": [{"type": "number"}, EMPTY]})
class BaseModuleFloatFilter(BaseModuleFilter):
    """A condition on a number column of a base module."""

    field_class = forms.FloatField


class ModuleBuildFilterSet(BuildFilterSet):
    """Filters of module builds."""

    name = CharFilter(strip=False, help_text="Name of the module")
    stream = CharFilter(strip=False, help_text="Stream of the module")
    version = CharFilter(strip=False, help_text="Version, in decimal digits")
    context = CharFilter(strip=False, help_text="Context")
    state = ModuleStatesFilter(
        "state", help_text="State as a number or a name; may be repeated, one of the values must match"
    )
    state_reason = CharFilter(strip=False, help_text="Reason of the state")
    error_code = CharFilter(strip=False, help_text="Code of the error that ended the build")
    scratch = FlagFilter(help_text="Whether it is a scratch build")
    owner = CharFilter(strip=False, help_text="User who submitted the build")
    scmurl = CharFilter(strip=False, help_text="Address and commit of the modulemd file")
    modulemd = CharFilter(strip=False, help_text="Text of the expanded document")
    srpms = JSONFilter(help_text="Uploaded source RPMs, as a JSON list")
    rebuild_strategy = CharFilter(strip=False, help_text="Rebuild strategy")
    batch = IntegerFilter(help_text="Number of the current batch")
    build_context = CharFilter(strip=False, help_text="Hash of the streams it was built against")
    build_context_no_bms = CharFilter(strip=False, help_text="The same hash, without base modules")
    runtime_context = CharFilter(strip=False, help_text="Hash of the streams it requires at run time")
    stream_version = FloatFilter(help_text="Version of the stream as a number, such as 300000 for f30")
    koji_tag = CharFilter(strip=False, help_text="Tag in Koji")
    cg_build_koji_tag = CharFilter(strip=False, help_text="Koji tag of the imported module")
    new_repo_task_id = IntegerFilter(help_text="Id of the Koji task that regenerates the repository")
    reuse_components_from = IntegerFilter(
        "reuse_components_from_id", help_text="Id of the build whose components to reuse, as submitted"
    )
    reuse_components_from_id = IntegerFilter(help_text="The same as reuse_components_from")
    reused_module_id = IntegerFilter(help_text="Id of the build whose components were reused")

    nsvc = CharFilter(
        method="filter_nsvc", help_text="Name, stream, version and context: name[:stream[:version[:context]]]"
    )
    match = CharFilter(
        method="filter_match",
        help_text="Name, stream and version with wildcards (* and ?): name[:stream[:version]]",
    )
    component = CharFilter(
        method="filter_component", strip=False, help_text="Name of a component that it has"
    )
    commit = CharFilter(
        method="filter_commit", help_text="Commit of its document, or the first digits of it, 7 at least"
    )
    rpm = CharFilter(method="filter_rpm", help_text="NEVRA of an RPM in the build (Koji only)")
    virtual_stream = VirtualStreamFilter(
        "virtual_streams",
        help_text="Virtual stream of a base module; may be repeated, one of the values must match",
    )
    stream_version_lte = FloatFilter(
        method="filter_stream_version_lte",
        min_value=MAJOR_VERSION_STEP,
        help_text="Highest stream version; only builds of the same major version match; at least 10000",
    )
    submitted_after = AfterFilter("time_submitted", help_text="Earliest time of submission (UTC)")
    submitted_before = BeforeFilter("time_submitted", help_text="Latest time of submission (UTC)")
    modified_after = AfterFilter("time_modified", help_text="Earliest time of the last change (UTC)")
    modified_before = BeforeFilter("time_modified", help_text="Latest time of the last change (UTC)")
    completed_after = AfterFilter("time_completed", help_text="Earliest time of the end (UTC)")
    completed_before = BeforeFilter(
        "time_completed", help_text="Latest time of the end (UTC); unfinished builds are left out"
    )

    base_module_br = BaseModuleTextFilter(
        help_text="A base module that it was built against: name:stream:version:context"
    )
    base_module_br_name = BaseModuleTextFilter(
        "name", help_text="Name of a base module that it was built against"
    )
    base_module_br_stream = BaseModuleTextFilter("stream", help_text="Stream of that base module")
    base_module_br_version = BaseModuleTextFilter("version", help_text="Version of that base module")
    base_module_br_context = BaseModuleTextFilter("context", help_text="Context of that base module")
    base_module_br_stream_version = BaseModuleFloatFilter(
        "stream_version", help_text="Stream version of that base module"
    )
    base_module_br_stream_version_lte = BaseModuleFloatFilter(
        "stream_version__lte", help_text="Highest stream version of that base module"
    )
    base_module_br_stream_version_gte = BaseModuleFloatFilter(
        "stream_version__gte", help_text="Lowest stream version of that base module"
    )

    def filter_queryset(self, queryset: QuerySet[ModuleBuild]) -> QuerySet[ModuleBuild]:
        """Return the builds that match all filters, including those on one base module."""
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
        # With ids instead of a subquery, the query planner knows how many rows to expect.
        base_modules = ModuleBuild.objects.filter(**wanted).values_list("pk", flat=True)[:MAX_BASE_MODULE_IDS]
        found: list[int] | QuerySet[Any, Any] = list(base_modules)
        if len(found) == MAX_BASE_MODULE_IDS:
            found = ModuleBuild.objects.filter(**wanted).values("pk")
        links = BuildRequirement.objects.filter(required__in=found)
        return queryset.filter(pk__in=links.values("module_build_id"))

    def filter_nsvc(self, queryset: QuerySet[ModuleBuild], name: str, value: str) -> QuerySet[ModuleBuild]:
        """Filter by the first one to four parts of N:S:V:C."""
        parts = NSVC.split(value)
        if not parts:
            raise invalid(name, "Write name[:stream[:version[:context]]].")
        return queryset.filter(**parts)

    def filter_match(self, queryset: QuerySet[ModuleBuild], name: str, value: str) -> QuerySet[ModuleBuild]:
        """Filter by name, stream and version with wildcards."""
        try:
            return queryset.filter(patterns.matching(value))
        except InvalidInput as error:
            raise invalid(name, error.hint) from error

    def filter_component(
        self, queryset: QuerySet[ModuleBuild], name: str, value: str
    ) -> QuerySet[ModuleBuild]:
        """Filter by the name of a component."""
        return queryset.filter(search.with_component(value))

    def filter_commit(self, queryset: QuerySet[ModuleBuild], name: str, value: str) -> QuerySet[ModuleBuild]:
        """Filter by the commit that a document came from."""
        commit = value.lower()
        if not search.is_commit(commit):
            raise invalid(
                name, f"Write {search.SHORTEST_COMMIT} to {search.WHOLE_COMMIT} hexadecimal digits."
            )
        return queryset.filter(search.commits("commit", commit))

    def filter_rpm(self, queryset: QuerySet[ModuleBuild], name: str, value: str) -> QuerySet[ModuleBuild]:
        """Filter for builds whose Koji tag holds an RPM."""
        # In a query string "+" means a space. RPM names have no spaces, so it was a plus.
        return queryset.filter(koji_tag__in=tags_holding(value.replace(" ", "+")))

    def filter_stream_version_lte(
        self, queryset: QuerySet[ModuleBuild], name: str, value: float
    ) -> QuerySet[ModuleBuild]:
        """Filter for the same major version up to ``value``: 280102 selects 280000 to 280102."""
        least = math.floor(value / MAJOR_VERSION_STEP) * MAJOR_VERSION_STEP
        return queryset.filter(stream_version__gte=least, stream_version__lte=value)


class ComponentBuildFilterSet(BuildFilterSet):
    """Filters of component builds."""

    package = CharFilter(strip=False, help_text="Name of the source package")
    format = CharFilter(strip=False, help_text="Format: rpms")
    scmurl = CharFilter(strip=False, help_text="Address of the sources")
    ref = CharFilter(strip=False, help_text="Commit of the sources")
    state = ComponentStatesFilter(
        "state", help_text="State as Koji's number or name; may be repeated, one of the values must match"
    )
    state_reason = CharFilter(strip=False, help_text="Reason of the state")
    task_id = IntegerFilter(help_text="Id of the task in the build system")
    nvr = CharFilter(strip=False, help_text="Name-version-release of the build")
    batch = IntegerFilter(help_text="Number of the batch")
    weight = FloatFilter(help_text="Expected duration in seconds")
    tagged = FlagFilter(help_text="Whether the build is in the buildroot's tag")
    tagged_in_final = FlagFilter(help_text="Whether the build is in the module's tag")
    buildonly = FlagFilter(help_text="Whether the modulemd marks the component as buildonly")
    build_time_only = FlagFilter(
        help_text="Whether the component is only needed to build others, and not shipped"
    )
    reused_component_id = IntegerFilter(help_text="Id of the component build that is reused")
    module_build = IntegerFilter("module_build_id", help_text="Id of the module build")
    module_id = IntegerFilter("module_build_id", help_text="The same as module_build")


def _nsvc(name: str, value: str) -> NSVC:
    try:
        return NSVC.parse(value)
    except InvalidInput as error:
        raise invalid(name, error.hint) from error


def _columns(*names: str, **others: tuple[Any, ...]) -> Mapping[str, tuple[Any, ...]]:
    return {name: (name,) for name in names} | others


#: Column -> fields or expressions to order by. Versions are decimal texts, so a longer one is larger.
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
