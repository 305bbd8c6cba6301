"""Documents for tests of services."""

from __future__ import annotations

PLATFORM = """\
document: modulemd
version: 2
data:
  name: platform
  stream: {stream}
  version: 1
  context: "00000000"
  summary: A platform
  description: Of a test.
  license: {{module: [MIT]}}
"""
