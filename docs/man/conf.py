"""Sphinx configuration of the manual pages: ``make docs`` writes them to ``.data/man``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

import pages  # noqa: E402  (a module in this folder)

project = "Module Build Service"
author = "the authors of the Module Build Service"
root_doc = "generated/mbs.1"
exclude_patterns = ["_build"]
# Sphinx checks the pages against this list before it reads them.
man_pages = [
    (f"generated/{page.name}.{page.section}", page.name, page.summary, [author], page.section)
    for page in pages.write(HERE / "generated")
]
