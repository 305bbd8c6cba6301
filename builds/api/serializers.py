"""From rows to representations, and from bodies to requests.

Field by field machinery is left to input: a page of a hundred builds holds a thousand components, so
what goes out is made by the plain functions of ``builds.representations``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from builds import representations
from builds.api import links
from builds.api.json_input import read_json
from builds.api.parameters import FLAGS, Shape
from builds.models import ComponentBuild, LogMessage, ModuleBuild
from builds.selectors import rest
from mbs.errors import InvalidInput, Problem
from mbs.states import BuildState

#: which pages with forms add
CSRF_FIELD = "csrfmiddlewaretoken"
#: unknown keys that an answer names: who sends thousands has understood after some
MOST_PROBLEMS = 20


class ModuleBuildSerializer(serializers.BaseSerializer):
    """Module builds, short, default or verbose."""

    @staticmethod
    def page(rows: Sequence[ModuleBuild], shape: Shape, request: Request) -> list[dict[str, Any]]:
        """Representations of these rows, with what stands around them read for all at once."""
        if shape is Shape.SHORT:
            return [representations.module_short(row) for row in rows]
        around = rest.around_modules(rows, verbose=shape is Shape.VERBOSE)
        if shape is Shape.DEFAULT:
            return [representations.module_answer(row, around) for row in rows]
        base = f"{links.path(request)}module-builds/"
        return [representations.module_verbose(row, around, f"{base}{row.pk}") for row in rows]


class ComponentBuildSerializer(serializers.BaseSerializer):
    """Component builds, default or verbose."""

    @staticmethod
    def page(rows: Sequence[ComponentBuild], shape: Shape, request: Request) -> list[dict[str, Any]]:
        """Representations of these rows, with what stands around them read for all at once."""
        waits = rest.component_waits(rows)
        if shape is not Shape.VERBOSE:
            return [representations.component_answer(row, waits.get(row.pk)) for row in rows]
        traces = rest.component_traces(rows)
        base = f"{links.path(request)}component-builds/"
        return [
            representations.component_verbose(
                row, waits.get(row.pk), traces.get(row.pk, []), f"{base}{row.pk}"
            )
            for row in rows
        ]


class LogMessageSerializer(serializers.BaseSerializer):
    """Log messages of a build."""

    @staticmethod
    def page(rows: Sequence[LogMessage], shape: Shape, request: Request) -> list[dict[str, Any]]:
        """Representations of these rows."""
        return [representations.log_message(row) for row in rows]


class Text(serializers.CharField):
    """Text as it is; numbers and truth values are none."""

    default_error_messages = {
        "invalid": "must be text.",
        "max_length": "must have at most {max_length} characters.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class Flag(serializers.BooleanField):
    """true or false; clients of the reference may write 1 and 0, or any of these as text (forms must)."""

    default_error_messages = {"invalid": "must be true or false."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> bool:
        word = str(data).lower() if isinstance(data, int | str) else ""
        if word not in FLAGS:
            self.fail("invalid")
        return FLAGS[word]


class Whole(serializers.IntegerField):
    """A whole number; in a form it is text."""

    default_error_messages = dict.fromkeys(("invalid", "max_string_length"), "must be a whole number.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Structured(serializers.JSONField):
    """A JSON value of a certain form; in a form with files it may be written as text.

    :param form: what it must be, for people.
    """

    def __init__(self, form: str, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)
        self.form = form

    def to_internal_value(self, data: Any) -> Any:
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
        """Whether the value has the form."""
        raise NotImplementedError


class Streams(Structured):
    """``{module: [stream, ...]}``"""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('an object of modules and their streams, such as {"platform": ["f28"]}', **kwargs)

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict) and all(_texts(streams) for streams in value.values())


class Refs(Structured):
    """``{component: ref}``"""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('an object of components and their refs, such as {"bash": "f28"}', **kwargs)

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict) and all(isinstance(ref, str) for ref in value.values())


class Texts(Structured):
    """``["...", ...]``"""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("a list of texts", **kwargs)

    def fits(self, value: Any) -> bool:
        return _texts(value)


class Uploads(Structured):
    """``["cli-build/...", ...]``"""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('a list of upload paths, such as ["cli-build/1/bash.src.rpm"]', **kwargs)

    def fits(self, value: Any) -> bool:
        return _texts(value)


class Identifier(Text):
    """The number or the N:S:V:C of a module build."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(str(data) if type(data) is int else data)


class Owner(Text):
    """In whose name a request acts; no longer than the database has room for, and fit for a line of a log."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = "In whose name; only for a server without logins"
        super().__init__(max_length=255, help_text=help_text, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text.isprintable():
            raise serializers.ValidationError("must hold printable characters only.")
        return text


class StrictSerializer(serializers.Serializer):
    """An object in which no unknown key may stand; null is as good as absent.

    :cvar refuses_unknown: False where clients of MBS 3.9.2 rely on unknown keys being ignored.
    """

    refuses_unknown = True

    def read(self) -> dict[str, Any]:
        """The values that are there.

        :raises InvalidInput: with a problem for each key that is wrong.
        """
        others = self.initial_data.keys() - self.fields.keys() - {CSRF_FIELD}
        unknown = sorted(others) if self.refuses_unknown else []
        problems = [
            Problem("unknown_key", f"There is no key {key[:60]!r}.", key=key[:60])
            for key in unknown[:MOST_PROBLEMS]
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


class SubmissionSerializer(StrictSerializer):
    """What a user may say in a submission (docs/contract/rest.md, "Submitting")."""

    scmurl = Text(help_text="Where the modulemd file lies: scheme://host/path?#revision")
    branch = Text(help_text="The branch that the revision is part of")
    modulemd = Text(
        help_text="The modulemd file itself, instead of an address", style={"base_template": "textarea.html"}
    )
    yaml = serializers.FileField(
        required=False,
        allow_null=True,
        allow_empty_file=True,
        help_text="The same as a file",
        error_messages=dict.fromkeys(("invalid", "no_name"), "must be a file, in multipart/form-data."),
    )
    module_name = Text(help_text="Name of the module whose file is sent, instead of the one in the file")
    module_stream = Text(help_text="Stream of the module whose file is sent, instead of the one in the file")
    buildrequire_overrides = Streams()
    require_overrides = Streams()
    rpm_component_ref_overrides = Refs()
    rebuild_strategy = Text(help_text="changed-and-after, only-changed or all")
    reuse_components_from = Identifier(help_text="Number or N:S:V:C of a module build")
    scratch = Flag(help_text="For a trial: it can be submitted again and again")
    side_tag = Text()
    srpms = Uploads()
    owner = Owner()

    def read(self) -> dict[str, Any]:
        values = super().read()
        file = values.pop("yaml", None)
        if file is not None:
            if "modulemd" in values:
                raise InvalidInput(
                    "The modulemd is given twice, as a file and as a key.", code="two_modulemds"
                )
            values["file_name"] = file.name.removesuffix(".yaml")
            try:
                values["modulemd"] = file.read().decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidInput(
                    f"The file is not UTF-8: byte {error.start} is wrong.", code="invalid_body"
                ) from error
        return values


class ChangeSerializer(StrictSerializer):
    """What may be changed of a module build: it can be failed, which cancels it."""

    refuses_unknown = False
    state = Identifier(help_text="failed", initial=BuildState.FAILED.word)
    owner = Owner()


class ImportSerializer(StrictSerializer):
    """Which module to import."""

    scmurl = Text(help_text="Where the modulemd file lies: scheme://host/path?#revision")
    modulemd = Text(
        help_text="The modulemd file itself, instead of an address", style={"base_template": "textarea.html"}
    )


class OwnerSerializer(StrictSerializer):
    """A request that only says in whose name it is made."""

    owner = Owner()


class RebuildSerializer(OwnerSerializer):
    """How to build a commit again."""

    rebuild_strategy = Text(help_text="changed-and-after, only-changed or all (the default)")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
