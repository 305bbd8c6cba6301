"""The build system for production: a Koji hub (docs/contract/koji.md)."""
