"""The screenshots of the documentation. ``make gallery`` writes them to ``docs/images``."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page

from builds.models import ModuleBuild
from builds.services.build_system import build_system
from tests.browser import scene as scenes
from tests.browser.addresses import API
from tests.browser.scene import PACKAGES, Scene
from tests.builds.conftest import Forge, document
from tests.gitrepos import url

#: Folder of the images; empty for a temporary one.
FOLDER = os.environ.get("MBS_GALLERY", "")
#: Quality of WebP, and max bytes of an image and of all together.
QUALITY, MAX_IMAGE, MAX_ALL = 62, 160_000, 1_500_000
DESK, WIDE, PHONE = (1280, 800), (1440, 900), (390, 844)
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Shot:
    """A screenshot.

    Attributes:
        path: Address of the page.
        size: Size of the window.
        scheme: Color scheme.
        prepare: Called with the page before the screenshot.
    """

    path: Callable[[Scene], str]
    size: tuple[int, int] = DESK
    scheme: str = "light"
    prepare: Callable[[Page], None] | None = None


def show_plan(page: Page) -> None:
    """Fill the form of a submission, and ask for the plan."""
    components = {name: "buildorder: 10" if place > 1 else "" for place, name in enumerate(PACKAGES)}
    text = document(components, "[el10]").replace("data:\n", 'data:\n  name: postgresql\n  stream: "17"\n')
    page.fill("[name=modulemd]", text)
    page.fill("[name=owner]", "maria")
    page.click("text=Show the plan")
    page.wait_for_selector("text=Build this?")


SHOTS: Mapping[str, Shot] = {
    "list": Shot(lambda scene: "/"),
    "build": Shot(lambda scene: f"/builds/{scene.ready.pk}"),
    "failed": Shot(lambda scene: f"/builds/{scene.failed.pk}"),
    "log": Shot(lambda scene: f"/builds/{scene.failed.pk}/nginx-mod-geoip2/log?line=18"),
    "compare": Shot(lambda scene: f"/compare/{scene.former.pk}...{scene.ready.pk}"),
    "module": Shot(lambda scene: "/modules/nginx/1.26"),
    "queue": Shot(lambda scene: "/queue"),
    "submit": Shot(lambda scene: "/submit", prepare=show_plan),
    "admin": Shot(lambda scene: "/admin/", size=(1440, 1000)),
    "admin-list": Shot(lambda scene: "/admin/builds/modulebuild/", size=WIDE),
    "api": Shot(lambda scene: f"{API}module-builds/"),
    "phone": Shot(lambda scene: f"/builds/{scene.active.pk}", size=PHONE, scheme="dark"),
}


@pytest.fixture
def scene(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """The rows, and git repositories of the components that a plan looks up."""
    forge = Forge(tmp_path / "git")
    for name in PACKAGES:
        forge.package(name)
    changed = {
        **{"SYSTEM": "local", "DATA_DIR": tmp_path, "NO_AUTH": True, "YAML_SUBMIT_ALLOWED": True},
        **{"RPMS_DEFAULT_REPOSITORY": url(tmp_path / "git" / "rpms") + "/", "DEFAULT_BRANCH": "main"},
        **{"POLLING_INTERVAL": 60, "NUM_CONCURRENT_BUILDS": 5},
    }
    settings.MBS = settings.MBS.model_copy(update=changed)
    # The intervals of tests are so short that sweeps would look late.
    schedule = {
        name: {**entry, "schedule": max(float(entry["schedule"]), 60.0)}
        for name, entry in current_app.conf.beat_schedule.items()
    }
    monkeypatch.setitem(current_app.conf, "beat_schedule", schedule)
    build_system.cache_clear()
    made = scenes.make(tmp_path)
    ModuleBuild.objects.filter(name="platform").update(stream_version=100000.0)
    yield made
    build_system.cache_clear()


@pytest.fixture
def session(scene: Scene) -> str:
    """The session of an operator."""
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    return client.cookies["sessionid"].value


def test_the_gallery(scene: Scene, session: str, live_server: Any, browser: Browser, tmp_path: Path) -> None:
    folder = Path(FOLDER or tmp_path)
    sizes = {}
    for name, shot in SHOTS.items():
        width, height = shot.size
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, color_scheme=shot.scheme)
        path = shot.path(scene)
        if path.startswith("/admin/"):
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.goto(live_server.url + path)
        if shot.prepare:
            shot.prepare(page)
        # Without the place that a visitor of an anchor sees.
        page.evaluate("scrollTo(0, 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        image = screenshot(page)
        (folder / f"{name}.webp").write_bytes(image)
        sizes[name] = len(image)
        context.close()
    assert all(2000 < size < MAX_IMAGE for size in sizes.values()), sizes
    assert sum(sizes.values()) < MAX_ALL


def screenshot(page: Page) -> bytes:
    """Return the visible part of a page as WebP, which Playwright itself cannot make."""
    session = page.context.new_cdp_session(page)
    answer = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    return base64.b64decode(answer["data"])
