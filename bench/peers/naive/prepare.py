"""Makes the tables and so many shops: `python -m bench.peers.naive.prepare COUNT`."""

from __future__ import annotations

import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.naive.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415  Django is set up only now.

    from bench.peers.naive.models import Account  # noqa: PLC0415

    call_command("migrate", verbosity=0, run_syncdb=True)
    names = ["clearing", "fees", *(f"shop_{number}" for number in range(int(sys.argv[1])))]
    Account.objects.bulk_create(Account(reference=name) for name in names)


if __name__ == "__main__":
    main()
