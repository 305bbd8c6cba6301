"""The command of a distribution (fedpkg, centpkg): rpkg's client with a configuration file.

Run it with the Python of rpkg's virtual environment: ``launcher.py CONFIGURATION ARGUMENT...``.
"""

from __future__ import annotations

import configparser
import logging
import os
import sys

import pyrpkg
import pyrpkg.cli


def main() -> None:
    """Run rpkg."""
    config = configparser.ConfigParser()
    config.read(sys.argv.pop(1))
    client = pyrpkg.cli.cliClient(config, name="rpkg")
    client.do_imports()
    client.parse_cmdline()
    client.args.path = client.args.path or os.getcwd()
    client.setupLogging(pyrpkg.log)
    pyrpkg.log.setLevel(logging.INFO)
    sys.exit(client.args.command())


if __name__ == "__main__":
    main()
