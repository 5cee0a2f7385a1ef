#!/usr/bin/env python
"""Django's command line; when the environment names no database it joins the product running on this machine."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from config.processes import CannotStart
from config.running import join

READS_NO_SETTINGS = {"help", "--help", "-h", "version", "--version"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    asked = sys.argv[1] if len(sys.argv) > 1 else "help"
    if asked not in READS_NO_SETTINGS and not (os.environ.keys() & {"DATABASE_URL", "DATABASE_URL_FILE"}):
        try:
            join(os.environ)
        except CannotStart as error:
            sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
