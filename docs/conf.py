"""Sphinx: ``make docs`` writes the pages to ``.data/docs`` and treats warnings as errors."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import reference  # noqa: E402  (it lies beside this file)

project = "Module Build Service"
author = "the authors of the Module Build Service"
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = project
exclude_patterns = ["_build"]
nitpicky = True


def setup(app: Sphinx) -> None:
    """Write the pages that are made from the code before Sphinx reads the others."""
    app.connect("builder-inited", lambda _: reference.write(HERE / "generated"))
