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


def setup(app: Sphinx) -> None:
    """Generate the reference pages before Sphinx reads the documents."""
    app.connect("builder-inited", lambda _: reference.write(HERE / "generated"))
