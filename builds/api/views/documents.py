"""Views that import modules and return final modulemd documents."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from builds import representations
from builds.api import serializers
from builds.api.openapi.operations import Operation
from builds.api.permissions import require_importer
from builds.api.views.base import NUMBER, ApiViewSet
from builds.models import FinalModulemd, ModuleBuild
from builds.selectors import rest
from builds.services.documents import compute
from builds.services.module_import import import_module
from builds.services.submission.patience import Patience
from builds.shapes import Imported
from mbs.errors import Forbidden, InvalidInput, NotFound
from mbs.states import BuildState
from scm.options import ScmOptions


class ImportViewSet(ApiViewSet):
    """Import a module that was built elsewhere, and record it as ready."""

    tag = "module builds"
    operations = {"create": Operation("import_module", Imported, (404, 409, 422), 201)}
    serializer_class = serializers.ImportSerializer

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Import a module that was built elsewhere, and record it as ready."""
        user = require_importer(self.identity)
        values = self.read()
        build, messages = self._import(values.get("scmurl", ""), values.get("modulemd", ""), user.username)
        module = representations.module_answer(build, rest.module_relations([build]))
        return Response({"module": module, "messages": messages}, status=201)

    def _import(self, scmurl: str, modulemd: str, who: str) -> tuple[ModuleBuild, list[str]]:
        if not scmurl and not modulemd:
            raise InvalidInput(
                "The key 'scmurl' is missing or empty.",
                code="missing_scmurl",
                hint="Send scmurl, or the text of the document as modulemd.",
            )
        if scmurl and modulemd:
            raise InvalidInput(
                "scmurl and modulemd exclude each other.", code="scmurl_with_yaml", hint="Send one of them."
            )
        if not modulemd:
            source = Patience().fetch(scmurl, "", ScmOptions.from_options(settings.MBS))
            return import_module(source.text, scmurl=source.scmurl, commit=source.commit, who=who)
        if not settings.MBS.YAML_SUBMIT_ALLOWED:
            raise Forbidden(
                "Importing a modulemd document is switched off here.",
                code="yaml_not_allowed",
                hint="Commit the document and send its scmurl.",
            )
        return import_module(modulemd, who=who)


class FinalModulemdViewSet(ApiViewSet):
    """The final modulemd documents of a finished module, by architecture."""

    tag = "module builds"
    operations = {"retrieve": Operation("get_final_modulemd", dict[str, str], (429, 501))}
    lookup_value_regex = NUMBER

    def retrieve(self, request: Request, pk: str, **kwargs: Any) -> Response:
        """Return the final modulemd documents of a finished module."""
        documents = dict(
            FinalModulemd.objects.filter(module_build=int(pk))
            .order_by("arch")
            .values_list("arch", "document")
        )
        return Response(documents or compute(self._finished(int(pk))))

    def _finished(self, pk: int) -> ModuleBuild:
        build = ModuleBuild.objects.filter(pk=pk).first()
        if build is None:
            raise NotFound(f"There is no module build {str(pk)[:30]}.", code="no_such_module_build")
        if build.state not in (BuildState.DONE, BuildState.READY):
            raise NotFound(
                f"Module build {pk} is {build.state_name}: it has no final documents.",
                code="no_final_modulemd",
                hint="They exist once all components are built.",
            )
        return build
