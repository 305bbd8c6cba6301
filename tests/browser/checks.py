"""Look at pages as browsers of people with different needs show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

#: A desk and a phone. The policy of some pages forbids all scripts, axe-core included.
SCREENS: tuple[dict[str, Any], ...] = (
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}, "bypass_csp": True},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "bypass_csp": True},
)

#: Focused elements of a page that are looked at.
MAX_STOPS = 8
#: Widths of phones, in pixels; one of 390 pixels has dark colors.
WIDTHS = (320, 500)
#: Rules of axe-core whose results depend on colors or on the size of the window.
OF_THE_SCREEN = ("color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable")
#: The focused element: its text, whether it is outlined, and whether it is on the screen.
_FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  return {
    name: element.outerHTML.slice(0, 120),
    text: element.textContent.trim(),
    outlined: outlined || style.boxShadow !== "none",
    inside: box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
  };
}"""
#: Elements that are wider than the window and do not scroll by themselves.
_WIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const wide = [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
  // The element that does not scroll is the cause, rather than what it contains.
  const causes = wide.filter((each) => !each.parentElement.closest(".wide, .scrolls, .tabular, pre"));
  return (causes.length ? causes : wide).slice(0, 3).map((each) => each.outerHTML.slice(0, 120));
}"""


def look(page: Page, address: str, options: dict[str, Any] | None = None) -> list[str]:
    """Open a page and return what axe-core finds in it."""
    open_page(page, address)
    unfold(page)
    return inspect(page, options)


def look_at_screen(page: Page, address: str) -> list[str]:
    """Open a page and return its faults that depend on the screen; all others are found on any."""
    found = look(page, address, {"runOnly": list(OF_THE_SCREEN)})
    return found + [f"{page.url}: too wide: {element}" for element in page.evaluate(_WIDE)]


def unfold(page: Page) -> None:
    """Open all details of a page."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


def open_page(page: Page, address: str) -> None:
    """Open a page, which must be one."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.headers["content-type"].startswith("text/html"), address


def inspect(page: Page, options: dict[str, Any] | None = None) -> list[str]:
    """Return what axe-core finds in a page that is open."""
    # Without the nodes of rules that passed, large pages take less time.
    wanted = {"resultTypes": ["violations"], **(options or {})}
    found = Axe().run(page, options=wanted).response["violations"]
    return [
        f"{page.url}: {fault['id']} ({fault['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for fault in found
        for node in fault["nodes"]
    ]


def examine(page: Page, address: str, *, printed: bool = True) -> Iterator[str]:
    """Yield all faults of a page: by keyboard, by axe-core, on narrow screens and on paper.

    Args:
        printed: Whether the page is meant to be printed.
    """
    open_page(page, address)
    yield from by_keyboard(page)
    unfold(page)
    yield from inspect(page)
    size = page.viewport_size
    yield from too_wide(page)
    assert size is not None
    page.set_viewport_size(size)
    if printed:
        yield from on_paper(page)


def too_wide(page: Page) -> Iterator[str]:
    """Yield the elements of an open page that make people scroll sideways."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        yield from (f"{page.url} at {width}: {element}" for element in page.evaluate(_WIDE))


def by_keyboard(page: Page) -> Iterator[str]:
    """Yield the faults of an open page for people who only have a keyboard: stops that cannot be seen."""
    # A page may begin in a field of a form: by an attribute or, in the admin, by a script.
    starts_in_form = page.evaluate("document.activeElement !== document.body")
    page.evaluate("document.activeElement.blur()")
    stops = 0
    for place in range(MAX_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(_FOCUSED)
        if stop is None:
            break
        stops += 1
        skips = stop["text"].lower().startswith("skip to")
        if place == 0 and not skips and page.query_selector("header, #header") and not starts_in_form:
            yield f"{page.url}: the first stop is no link to the content: {stop['name']}"
        if not (stop["outlined"] and stop["inside"]):
            yield f"{page.url}: not visible: {stop['name']}"
    if not stops:
        yield f"{page.url}: nothing can be reached by keyboard"


def on_paper(page: Page) -> Iterator[str]:
    """Yield what is printed although paper cannot use it, and texts that cannot be read on paper."""
    page.emulate_media(media="print")
    for selector in ("header nav", ".refresh"):
        if any(each.is_visible() for each in page.query_selector_all(selector)):
            yield f"{page.url}: {selector} is printed"
    yield from inspect(page, {"runOnly": ["color-contrast"]})
    page.emulate_media(media="screen")
