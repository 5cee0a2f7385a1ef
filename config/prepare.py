"""Makes the stores ready for this version: migrates, collects static files, and makes the pretend wallet a provider.

One process for all of it, `python -m config.prepare`, because loading the project takes longer than the work.
"""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings
from django.core.management import call_command


def main() -> int:
    """Does what this version needs before it can serve; doing it again changes nothing."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    call_command("migrate", interactive=False)
    if not settings.DEBUG:
        call_command("collectstatic", interactive=False)
    if settings.SANDBOX_URL:
        call_command("enable_sandbox")
    return 0


if __name__ == "__main__":
    sys.exit(main())
