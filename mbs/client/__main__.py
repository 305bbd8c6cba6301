"""``python -m mbs.client`` is the command ``mbs``."""

from mbs.client.cli import main

main(prog_name="mbs")
