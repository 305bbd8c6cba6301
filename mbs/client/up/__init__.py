"""``mbs up``: the standalone service as child processes of one supervisor."""
