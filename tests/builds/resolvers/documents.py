"""Documents of modules in repositories."""

from __future__ import annotations


def text(name: str, stream: str, version: int, context: str = "c0", requires: str = "{}") -> str:
    """Return the document of a module."""
    return f"""---
document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: {version}
  context: {context}
  summary: A module
  description: A module.
  license: {{module: [MIT]}}
  dependencies:
  - buildrequires: {{platform: [el8]}}
    requires: {requires}
...
"""
