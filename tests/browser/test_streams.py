"""Streams of events of pages in hidden tabs, of which a browser opens only a few at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from builds.models import ComponentBuild
from mbs.states import BuildState, ComponentState
from tests.builds.web.component_logs import address, open_log, row
from tests.factories import module_build

pytestmark = pytest.mark.django_db(transaction=True)

#: In place of the browser's: records the addresses of the streams that are open.
STREAMS = """
window.streams = [];
window.EventSource = class extends EventTarget {
  static OPEN = 1;
  static CLOSED = 2;
  constructor(address) {
    super();
    this.address = String(new URL(address, location.href));
    this.readyState = 1;
    window.streams.push(this);
  }
  close() {
    this.readyState = 2;
    window.streams = window.streams.filter((each) => each !== this);
  }
};
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.hide = (value) => {
  hidden = value;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
SEND = """([kind, id, data]) => window.streams[0].dispatchEvent(
  new MessageEvent(kind, { data: JSON.stringify(data), lastEventId: id }))"""


@pytest.fixture
def component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ComponentBuild:
    """A component that builds, with the first lines of its log."""
    open_log(tmp_path, monkeypatch).write_bytes(b"one\ntwo\n")
    return row(state=ComponentState.BUILDING)


@pytest.fixture
def active() -> int:
    """The number of an active build."""
    return int(module_build(state=BuildState.BUILD).pk)


def opened(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.streams.map((each) => each.address)")
    return found


def visit(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.add_init_script(STREAMS)
    page.goto(url)
    return page


def test_a_hidden_log_stops_and_goes_on_where_it_was(
    component: ComponentBuild, live_server: Any, browser: Browser
) -> None:
    page = visit(browser, live_server.url + address(component))
    (first,) = opened(page)
    assert "from=8" in first
    page.evaluate(SEND, ["lines", "7-12-4", {"more": "", "groups": "<pre class=new>three</pre>"}])
    page.evaluate("window.hide(true)")
    assert opened(page) == []
    page.evaluate("window.hide(false)")
    (again,) = opened(page)
    assert {"task=7", "from=12", "line=4"} <= set(again.partition("?")[2].split("&"))
    assert page.inner_text("pre.new") == "three"
    page.evaluate(SEND, ["end", "7-12-4", {}])
    assert opened(page) == []
    page.evaluate("window.hide(true); window.hide(false)")
    assert opened(page) == []
    assert "this is the end of its log" in page.inner_text("#tail")


def test_a_hidden_page_of_a_build_does_not_listen(live_server: Any, active: int, browser: Browser) -> None:
    page = visit(browser, f"{live_server.url}/builds/{active}")
    assert len(opened(page)) == 1
    page.evaluate("window.hide(true)")
    assert opened(page) == []
    page.evaluate("window.hide(false)")
    assert len(opened(page)) == 1
