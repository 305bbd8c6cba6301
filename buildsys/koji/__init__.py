"""The production build system: a Koji hub. docs/contract/koji.md."""
