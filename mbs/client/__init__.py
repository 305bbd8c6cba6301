"""The client: the ``mbs`` command, a REST client, and the standalone service."""
