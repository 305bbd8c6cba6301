"""Modulemd documents for tests of local builds."""

MODULEMD = """\
document: modulemd
version: 2
data:
  summary: A module
  description: A module of a test.
  license: {{module: [MIT]}}
  dependencies:
  - buildrequires: {{platform: {platform}, perl: []}}
    requires: {{platform: {platform}}}
  buildopts: {{rpms: {{macros: "%own 1"}}}}
  components:
    rpms:
      one: {{rationale: needed, ref: '1.10'}}
"""
TEXT = MODULEMD.format(platform="[f40]")
