"""Benchmarks of the service; each module is a command."""
