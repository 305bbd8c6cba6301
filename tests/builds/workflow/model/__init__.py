"""Broker, build system and processes of the service under the control of a test."""
