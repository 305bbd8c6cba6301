"""Representations of rows, and serializers that validate request bodies.

DRF's fields are only used for input. Answers are made by the functions of ``builds.representations``, since a
page of a hundred builds contains a thousand components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request

from builds import representations
from builds.api import links
from builds.api.json_input import read_json
from builds.api.parameters import FLAGS, Shape
from builds.encoding import plain
from builds.models import LogMessage
from builds.selectors import rest
from builds.selectors.listing import ComponentRow, ModuleRow, Record
from mbs.errors import InvalidInput, Problem
from mbs.states import BuildState

#: Key that Django's forms add to the body.
CSRF_FIELD = "csrfmiddlewaretoken"
_TEXT: dict[str, Any] = {"type": ["string", "null"], "pattern": "^[^\\u0000]*$"}
_TEXTS = {"type": ["array", "null"], "items": {"type": "string", "pattern": "^[^\\u0000]*$"}}
#: Maximum number of unknown keys that an answer names.
MAX_PROBLEMS = 20


#: A document and an address for the examples of the OpenAPI document.
MODULEMD = """\
document: modulemd
version: 2
data:
  name: greetings
  stream: "1"
  summary: A module that greets people
  description: It greets people.
  license:
    module: [MIT]
  dependencies:
  - buildrequires: {platform: [f43]}
    requires: {platform: [f43]}
"""
SCMURL = "https://git.example.com/modules/greetings.git?#f2d0c1b"


class RowSerializer(serializers.BaseSerializer[Any]):
    """Represent the rows of a list, in the shape that the request selects."""

    @staticmethod
    def page(rows: Sequence[Any], shape: Shape, request: Request) -> Sequence[Mapping[str, object]]:
        """Return representations of rows."""
        raise NotImplementedError


class ModuleBuildSerializer(RowSerializer):
    """Represent module builds in the short, default or verbose shape."""

    @staticmethod
    def page(rows: Sequence[ModuleRow], shape: Shape, request: Request) -> Sequence[Mapping[str, object]]:
        """Return representations of rows. Related rows are read for all of them at once."""
        if shape is Shape.SHORT:
            return [representations.module_short(row) for row in rows]
        around = rest.module_relations(rows, verbose=shape is Shape.VERBOSE)
        if shape is Shape.DEFAULT:
            found = [representations.module_answer(row, around) for row in rows]
            return [_error_below_prefix(answer) for answer in found]
        base = f"{links.path(request)}module-builds/"
        verbose = [representations.module_verbose(row, around, f"{base}{row.pk}") for row in rows]
        return [_error_below_prefix(answer) for answer in verbose]


class ComponentBuildSerializer(RowSerializer):
    """Represent component builds in the default or verbose shape."""

    @staticmethod
    def page(rows: Sequence[ComponentRow], shape: Shape, request: Request) -> Sequence[Mapping[str, object]]:
        """Return representations of rows. Related rows are read for all of them at once."""
        waits = rest.component_waits(rows)
        if shape is not Shape.VERBOSE:
            found = [representations.component_answer(row, waits.get(row.pk)) for row in rows]
            return list(map(_below_prefix, found))
        traces = rest.component_traces(rows)
        base = f"{links.path(request)}component-builds/"
        verbose = [
            representations.component_verbose(
                row, waits.get(row.pk), traces.get(row.pk, []), f"{base}{row.pk}"
            )
            for row in rows
        ]
        return list(map(_below_prefix, verbose))


def _below_prefix(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer whose ``excerpt.url``, if it has one, lies below the path prefix of the front server.

    Stored paths have no prefix, since a build does not know by which front it will be read.
    """
    if not (links.prefix() and answer["excerpt"]):
        return answer
    excerpt = plain(answer["excerpt"])
    return {**answer, "excerpt": {**excerpt, "url": f"{links.prefix()}{excerpt['url']}"}}


def _error_below_prefix(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a module build whose ``error.excerpt.url`` lies below the path prefix."""
    return {**answer, "error": _below_prefix(answer["error"])} if answer["error"] else answer


class LogMessageSerializer(RowSerializer):
    """Represent log messages of a build."""

    @staticmethod
    def page(
        rows: Sequence[LogMessage | Record], shape: Shape, request: Request
    ) -> Sequence[Mapping[str, object]]:
        """Return representations of rows."""
        return [representations.log_message(row) for row in rows]


@extend_schema_field(_TEXT)
class TextField(serializers.CharField):
    """A text that is kept as it is. Numbers and truth values are refused."""

    default_error_messages = {
        "invalid": "must be text.",
        "max_length": "must have at most {max_length} characters.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return data


@extend_schema_field(
    {
        "type": ["boolean", "null", "string", "integer"],
        "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|1|0)$",
        "minimum": 0,
        "maximum": 1,
    }
)
class FlagField(serializers.BooleanField):
    """A truth value. Clients of MBS 3.9.2 may send 1 and 0, and forms send any of these as text."""

    default_error_messages = {"invalid": "must be true or false."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> bool:
        """Return the value as True or False."""
        word = str(data).lower() if isinstance(data, int | str) else ""
        if word not in FLAGS:
            self.fail("invalid")
        return FLAGS[word]


@extend_schema_field({"type": ["integer", "null"]})
class WholeNumberField(serializers.IntegerField):
    """A whole number; as text in a form."""

    default_error_messages = dict.fromkeys(("invalid", "max_string_length"), "must be a whole number.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if isinstance(data, bool | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class StructuredField(serializers.JSONField):
    """A JSON value of a certain form; as text in a multipart form.

    Args:
        form: Describes the form in error messages.
    """

    def __init__(self, form: str, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **{"help_text": f"JSON: {form}", **kwargs})
        self.form = form

    def to_internal_value(self, data: Any) -> Any:
        """Return the parsed value."""
        if isinstance(data, str):
            if not data.strip():
                return None
            try:
                data = read_json(data, f"The value of {self.field_name!r}", self.field_name or "")
            except InvalidInput as error:
                raise serializers.ValidationError(f"must be {self.form}. {error.message}") from error
        if not self.fits(data):
            raise serializers.ValidationError(f"must be {self.form}.")
        return data

    def fits(self, value: Any) -> bool:
        """Return whether the value has the form."""
        raise NotImplementedError


@extend_schema_field(
    {
        "type": ["object", "null"],
        "additionalProperties": {"type": "array", "items": {"type": "string"}},
    }
)
class StreamsField(StructuredField):
    """Streams by module: ``{module: [stream, ...]}``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('an object of modules and their streams, such as {"platform": ["f28"]}', **kwargs)

    def fits(self, value: Any) -> bool:
        """Return whether the value has the form."""
        return isinstance(value, dict) and all(_texts(streams) for streams in value.values())


@extend_schema_field({"type": ["object", "null"], "additionalProperties": {"type": "string"}})
class RefsField(StructuredField):
    """Refs by component: ``{component: ref}``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('an object of components and their refs, such as {"bash": "f28"}', **kwargs)

    def fits(self, value: Any) -> bool:
        """Return whether the value has the form."""
        return isinstance(value, dict) and all(isinstance(ref, str) for ref in value.values())


@extend_schema_field(_TEXTS)
class TextListField(StructuredField):
    """A list of texts."""

    def __init__(self, form: str = "a list of texts", **kwargs: Any) -> None:
        super().__init__(form, **kwargs)

    def fits(self, value: Any) -> bool:
        """Return whether the value has the form."""
        return _texts(value)


@extend_schema_field({"anyOf": [_TEXT, {"type": "integer"}]})
class IdentifierField(TextField):
    """The id or the N:S:V:C of a module build."""

    def to_internal_value(self, data: Any) -> str:
        """Return the identifier as text."""
        return super().to_internal_value(str(data) if type(data) is int else data)


class OwnerField(TextField):
    """The user in whose name a request acts. It must fit into the column and into a log line."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = "User in whose name to act; only on a server without logins"
        super().__init__(max_length=255, help_text=help_text, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Return the name of the user."""
        text = super().to_internal_value(data)
        if not text.isprintable():
            raise serializers.ValidationError("must contain printable characters only.")
        return text


class StrictSerializer(serializers.Serializer[Any]):
    """An object whose unknown keys are refused. A key with the value null counts as absent.

    Attributes:
        refuses_unknown: False where clients of MBS 3.9.2 rely on unknown keys being ignored.
    """

    refuses_unknown = True

    def read(self) -> dict[str, Any]:
        """Return the values that are present.

        Raises:
            InvalidInput: Keys are not valid. There is a problem for each.
        """
        others = self.initial_data.keys() - self.fields.keys() - {CSRF_FIELD}
        unknown = sorted(others) if self.refuses_unknown else []
        problems = [
            Problem("unknown_key", f"There is no key {key[:60]!r}.", key=key[:60])
            for key in unknown[:MAX_PROBLEMS]
        ]
        if not self.is_valid():
            problems += [
                Problem("invalid_value", f"The value of {key!r} {' '.join(map(str, texts))}", key=key)
                for key, texts in self.errors.items()
            ]
        if problems:
            raise InvalidInput(
                " ".join(problem.message for problem in problems),
                code=problems[0].code,
                hint=f"Keys are {', '.join(sorted(self.fields))}.",
                problems=problems,
            )
        return {key: value for key, value in self.validated_data.items() if value is not None}


@extend_schema_serializer(
    examples=[
        OpenApiExample("commit", {"scmurl": SCMURL, "branch": "1"}),
        OpenApiExample("file", {"modulemd": MODULEMD, "scratch": True}),
    ]
)
class SubmissionSerializer(StrictSerializer):
    """The request body of a submission (docs/contract/rest.md, "Submitting")."""

    scmurl = TextField(help_text="Address of the modulemd file: scheme://host/path?#commit")
    branch = TextField(help_text="Branch that contains the commit")
    modulemd = TextField(
        help_text="Text of the modulemd file, instead of an address", style={"base_template": "textarea.html"}
    )
    yaml = serializers.FileField(
        required=False,
        allow_null=True,
        allow_empty_file=True,
        help_text="The modulemd file, instead of an address",
        error_messages=dict.fromkeys(("invalid", "no_name"), "must be a file, in multipart/form-data."),
    )
    module_name = TextField(
        help_text="Name of the module, if its file is sent; replaces the name in the file"
    )
    module_stream = TextField(
        help_text="Stream of the module, if its file is sent; replaces the one in the file"
    )
    buildrequire_overrides = StreamsField()
    require_overrides = StreamsField()
    rpm_component_ref_overrides = RefsField()
    rebuild_strategy = TextField(help_text="changed-and-after, only-changed or all")
    reuse_components_from = IdentifierField(help_text="Id or N:S:V:C of a module build")
    scratch = FlagField(help_text="Scratch build: a trial that is not shipped and can be repeated")
    side_tag = TextField()
    srpms = TextListField('a list of upload paths, such as ["cli-build/1/bash.src.rpm"]')
    owner = OwnerField()

    def read(self) -> dict[str, Any]:
        """Return the values that are present, with an uploaded file as ``modulemd``.

        Raises:
            InvalidInput: Keys are not valid, the file is not UTF-8, or modulemd is given twice.
        """
        values = super().read()
        file = values.pop("yaml", None)
        if file is not None:
            if "modulemd" in values:
                raise InvalidInput(
                    "The modulemd is given twice, as a file and in the key 'modulemd'.", code="two_modulemds"
                )
            values["file_name"] = file.name.removesuffix(".yaml")
            try:
                values["modulemd"] = file.read().decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidInput(
                    f"The file is not UTF-8: byte {error.start} is wrong.", code="invalid_body"
                ) from error
        return values


@extend_schema_serializer(examples=[OpenApiExample("cancel", {"state": BuildState.FAILED.word})])
class ChangeSerializer(StrictSerializer):
    """The request body that cancels a module build by failing it."""

    refuses_unknown = False
    state = IdentifierField(help_text="failed", initial=BuildState.FAILED.word)
    owner = OwnerField()


@extend_schema_serializer(
    examples=[
        OpenApiExample("commit", {"scmurl": SCMURL}),
        OpenApiExample("document", {"modulemd": MODULEMD}),
    ]
)
class ImportSerializer(StrictSerializer):
    """The request body that imports a module."""

    scmurl = TextField(help_text="Address of the modulemd file: scheme://host/path?#commit")
    modulemd = TextField(
        help_text="The modulemd file itself, instead of an address", style={"base_template": "textarea.html"}
    )


@extend_schema_serializer(examples=[OpenApiExample("empty", {})])
class OwnerSerializer(StrictSerializer):
    """A request body with the owner only."""

    owner = OwnerField()


@extend_schema_serializer(examples=[OpenApiExample("everything", {"rebuild_strategy": "all"})])
class RebuildSerializer(OwnerSerializer):
    """The request body that rebuilds a commit."""

    rebuild_strategy = TextField(help_text="changed-and-after, only-changed or all (the default)")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
