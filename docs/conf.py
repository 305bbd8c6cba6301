"""Sphinx configuration: ``make docs`` writes HTML pages to ``.data/docs``, and treats warnings as errors."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import reference  # noqa: E402  (a module in this folder)

project = "Module Build Service"
author = "the authors of the Module Build Service"
extensions = ["myst_parser", "sphinx.ext.graphviz"]
graphviz_output_format = "svg"
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = project
exclude_patterns = ["_build", "man"]
nitpicky = True


#: Markup of the theme and of Sphinx that axe-core complains about, and its replacements: levels of headings,
#: names of landmarks and of drawings, and elements that must be reached by keyboard, since they scroll.
ACCESSIBLE = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    '<div class="content-icon-container">': (
        '<div class="content-icon-container" role="navigation" aria-label="Source">'
    ),
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper colwidths-auto docutils container">': (
        '<div class="table-wrapper colwidths-auto docutils container" tabindex="0">'
    ),
    ' class="graphviz">': ' class="graphviz" aria-label="Diagram">',
    '<article role="main" id="furo-main-content">\n          \n<noscript>': (
        '<article role="main" id="furo-main-content">\n<h1>Search</h1><noscript>'
    ),
}


def make_accessible(app: Sphinx, failure: Exception | None) -> None:
    """Replace markup in the built pages."""
    for path in sorted(Path(app.outdir).rglob("*.html")) if failure is None else ():
        text = changed = path.read_text("utf-8")
        for old, new in ACCESSIBLE.items():
            changed = changed.replace(old, new)
        if changed != text:
            path.write_text(changed, "utf-8")


def setup(app: Sphinx) -> None:
    """Generate the reference pages before Sphinx reads the documents."""
    app.connect("builder-inited", lambda _: reference.write(HERE / "generated"))
    app.connect("build-finished", make_accessible)
