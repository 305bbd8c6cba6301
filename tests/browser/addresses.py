"""The addresses of all pages, so that no page is forgotten when pages are tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import Resolver404, get_resolver, resolve, reverse

from builds.services import comparison
from builds.web import components
from tests.browser.scene import Scene
from tests.builds.web.browser import BROWSER

API = "/module-build-service/2/"
#: Ends of the routes that no person reads, with the reason.
NOT_READ = {
    "health/live": "JSON",
    "health/ready": "JSON",
    "feeds/builds.atom": "a feed",
    "monitor/metrics/?$": "for Prometheus",
    "schema/?$": "for programs",
    "events/?$": "a stream of events",
    "admin/jsi18n/": "a script",
    "admin/autocomplete/": "JSON",
    "admin/r/<path:content_type_id>/<path:object_id>/": "redirects",
    "admin/logout/": "redirects",
    "admin/(?P<url>.*)$": "any other address",
    "/<path:object_id>/": "redirects",
}


@dataclass
class Site:
    """All pages.

    Attributes:
        session: Session of an operator, who may see the admin.
        pages: Addresses for everybody.
        admin: Addresses of the admin.
        refused: Addresses of the admin that are closed, such as forms that change read-only rows.
    """

    session: str
    pages: list[str]
    admin: list[str]
    refused: list[str]

    def missing(self) -> set[str]:
        """Return the routes of the urlconf that lead to pages, and that no address here belongs to."""
        known = {_route(each) for each in self.pages + self.admin + self.refused}
        read = (each for each in routes(get_resolver()) if not each.endswith(tuple(NOT_READ)))
        return set(read) - known


def routes(resolver: Any, begin: str = "") -> Iterator[str]:
    """Yield all routes of a urlconf, written as ``resolve`` does."""
    for pattern in resolver.url_patterns:
        own = str(pattern.pattern)
        route = begin + (own.removeprefix("^") if begin else own)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, route)
        else:
            yield route


def _route(address: str) -> str:
    try:
        return resolve(address.partition("?")[0]).route
    except Resolver404:
        return ""  # the page that says that there is none


def site(scene: Scene) -> Site:
    """Return all pages, with a row of every kind that the admin shows."""
    user = User.objects.create_superuser("operator", "operator@example.com", "open sesame")
    Group.objects.create(name="operators")
    # A failed login, and a successful one.
    for password in ("wrong", "open sesame"):
        Client().post(
            "/admin/login/", {"username": "operator", "password": password}, REMOTE_ADDR="192.0.2.1"
        )
    client = Client()
    client.force_login(user)
    opened, refused = [], []
    for address in admin_pages(user):
        (opened if client.get(address, headers=BROWSER).status_code == 200 else refused).append(address)
    return Site(client.cookies["sessionid"].value, list(pages(scene)), opened, refused)


def pages(scene: Scene) -> Iterator[str]:
    """Yield the addresses of the pages for everybody, of every kind and with errors."""
    failed, ready, active = scene.failed.pk, scene.ready.pk, scene.active.pk
    package = scene.active.component_builds.get(batch=1).package
    waiting = scene.active.component_builds.filter(state=None)[0].package
    yield from ("/", "/?state=active&owner=tom", "/?state=garbage", "/?before=9", "/?mine=1", "/nothing")
    yield from ("/?owner=nothing-like-it", "/?state=failed&name=nginx", "/?ownr=tom", "/?before=x")
    yield from (f"/builds/{each}" for each in (ready, failed, active, scene.canceled.pk, 77777))
    yield from (f"/builds/{active}?components={each}" for each in components.CHOICES)
    yield from (f"/builds/{failed}?components={each}" for each in ("failed", "batches"))
    yield from (
        f"/builds/{failed}/nginx-mod-geoip2/log{each}"
        for each in ("", "?line=18", "?q=make", "?q=nothing-like-it", "?line=99999", "?from=0", "?until=300")
    )
    yield from (f"/builds/{failed}/nginx-mod-geoip2/log?{each}" for each in ("line=x", "name=nothing.log"))
    yield from (f"/builds/{active}/{each}/log" for each in (package, waiting, "nothing"))
    yield f"/builds/{ready}/compare"
    for shown in ("", "?all=1", *(f"?document={each}" for each in (*comparison.DOCUMENTS, "unknown"))):
        yield f"/compare/{scene.former.pk}...{ready}{shown}"
    yield f"/compare/{ready}...{failed}?document=submitted"
    yield from ("/search?q=nginx", "/search?q=nothing-like-it", "/modules/nginx", "/modules/nginx/1.26")
    yield from ("/search", "/search?q=tom", "/search?q=geoip2", "/modules/nginx/nothing")
    yield from ("/modules/nothing", f"/act?action=cancel&build={active}&build={failed}")
    yield from (f"/act?action=rebuild&build={ready}", "/act?action=compare", "/act?action=retire")
    yield from ("/submit", "/login", "/logout", "/queue", "/searches", "/login/provider", "/login/callback")
    yield from ("/submit?scmurl=https://git.example.com/modules/nginx.git", "/login?next=/submit")
    yield from ("/results/", "/results/tasks/", "/results/nothing")
    component = scene.failed.component_builds.order_by("pk")[0].pk
    for path in (
        *("", "about/", "me", "rebuild-strategies/", "import-module/", "docs/", "nothing", "tokens/"),
        *(f"tokens/{scene.token}", "module-builds/plan/", "module-builds/", "module-builds/77777"),
        *("subscriptions/", f"subscriptions/{scene.subscription}"),
        *(
            "module-builds/?state=failed&per_page=1",
            "module-builds/?state=nonsense",
            "module-builds/?ownr=ann",
        ),
        *(f"module-builds/{ready}{each}" for each in ("", "/messages", "/rebuild", "/rebuild/plan")),
        *(f"module-builds/{ready}/{each}" for each in ("retire", "compare", "compare?all=1")),
        *(f"module-builds/{ready}?verbose=1", "module-builds/?verbose=1&order_desc_by=id"),
        *(f"module-builds/{failed}/retry", f"final-modulemd/{ready}", "component-builds/"),
        *(f"component-builds/{component}?verbose=1", f"component-builds/{component}/messages"),
    ):
        yield API + path


def admin_pages(user: User) -> Iterator[str]:
    """Yield the addresses of the admin: for each model its list, and the pages of its first row."""
    yield from (
        reverse(f"admin:{each}") for each in ("index", "login", "password_change", "password_change_done")
    )
    yield reverse("admin:auth_user_password_change", args=[user.pk])
    labels = dict.fromkeys(model._meta.app_label for model in admin.site._registry)
    yield from (reverse("admin:app_list", args=[label]) for label in labels)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.order_by("-pk").first()
        # The scene has no deliveries and architectures: their pages are like those of other rows.
        number = row.pk if row else 0
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_add")
        yield from (reverse(f"{name}_{page}", args=[number]) for page in ("change", "history", "delete"))
