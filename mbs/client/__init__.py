"""The ``mbs`` command: a REST client, and the supervisor of the standalone service. Never imports Django."""
