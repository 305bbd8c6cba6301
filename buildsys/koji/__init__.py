"""The production build system: a Koji hub. Contract: ``koji.md``."""
