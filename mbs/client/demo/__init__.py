"""The command ``mbs demo``: build an example module into RPMs and install it with dnf."""
