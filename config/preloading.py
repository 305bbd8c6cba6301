"""Load the parts of pages when a process of the web server starts, instead of in their first views."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from django import forms
from django.forms.renderers import get_default_renderer
from django.template import TemplateDoesNotExist, engines
from django.template.utils import get_app_template_dirs
from django.urls import reverse
from rest_framework.settings import api_settings

log = logging.getLogger(__name__)


def preload() -> None:
    """Import all views, index the URLs, compile all templates, and make the OpenAPI documents.

    Django does this when it is needed: the first request of a process took 0.6 s longer, the first view of a
    page up to 55 ms, and that of the documentation 0.3 s.
    """
    for name in ("front", "admin:index"):  # each namespace has its own index
        reverse(name)
    pages: Any = engines["django"]  # django-stubs only knows the base class
    pages.engine.template_context_processors  # noqa: B018  (a cached property, which imports them)
    for folder in get_app_template_dirs("templates"):
        _compile(pages.engine, Path(folder))
    fields: Any = get_default_renderer()
    _compile(fields.engine.engine, Path(forms.__path__[0], "templates"))

    from builds.api.openapi.generator import document  # needs Django's apps

    for version in api_settings.ALLOWED_VERSIONS or ():
        document(version)


def _compile(engine: Any, folder: Path) -> None:
    """Compile the templates of a folder, and those that they replace, since they may extend these.

    One that cannot be compiled, such as one for an app that is not installed, is only an error of the pages
    that use it.
    """
    for path in folder.rglob("*.html"):
        replaced: list[Any] = []
        try:
            while True:
                _, origin = engine.find_template(str(path.relative_to(folder)), skip=replaced)
                replaced.append(origin)
        except TemplateDoesNotExist:
            continue  # none is left
        except Exception as error:  # noqa: BLE001  (tags of other apps may raise anything)
            log.debug("The template %s cannot be compiled: %r", path, error)
