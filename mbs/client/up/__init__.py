"""The command ``mbs up``: the standalone service as child processes of a supervisor."""
