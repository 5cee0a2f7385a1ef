"""Makes dj-stripe's tables and the rows by which it verifies a signature and fetches nothing.

`python -m bench.peers.dj_stripe.prepare SECRET UUID`: an account, its key, and an endpoint with our secret.
"""

from __future__ import annotations

import os
import sys

import django

ACCOUNT = "acct_bench1"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.dj_stripe.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415  Django is set up only now.
    from djstripe.models import Account, APIKey, WebhookEndpoint  # noqa: PLC0415

    secret, address = sys.argv[1:]
    call_command("migrate", verbosity=0, run_syncdb=True, skip_checks=True)
    account = Account.objects.create(id=ACCOUNT, livemode=False)
    APIKey.objects.create(
        id="key_bench", type="secret", secret="sk_test_bench", livemode=False, djstripe_owner_account=account
    )
    WebhookEndpoint.objects.create(
        id="we_bench", secret=secret, djstripe_uuid=address, djstripe_tolerance=0, livemode=False,
        djstripe_validation_method="verify_signature", enabled_events=["*"], status="enabled",
        url="https://bench.example/", djstripe_owner_account=account,
    )  # fmt: skip


if __name__ == "__main__":
    main()
