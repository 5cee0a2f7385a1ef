"""`enable_sandbox`: gives the platform (or one shop) an account at the pretend wallet, and tells the wallet of it."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from merchants import ids
from merchants.models import Shop
from payments import credentials
from payments.models import ProviderAccount
from payments.providers import enabled, sandbox


class Command(BaseCommand):
    help = "Opens an account at the pretend wallet (SANDBOX_URL) and registers it there. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="platform", help="the last part of the webhook address")
        parser.add_argument("--shop", help="a shop's id (shp_…): the account is the shop's own")
        parser.add_argument("--direct", action="store_true", help="the wallet pays the shop itself; we keep its book")

    def handle(self, *args: Any, **options: Any) -> None:
        if not enabled("sandbox"):
            raise CommandError("the pretend wallet is off: SANDBOX_URL is not set")
        if options["direct"] and not options["shop"]:
            raise CommandError("--direct needs --shop: direct money belongs to one shop")
        shop = Shop.objects.get(id=ids.parse(Shop.prefix, options["shop"])) if options["shop"] else None
        account, made = ProviderAccount.objects.get_or_create(
            provider="sandbox",
            name=options["name"],
            defaults={
                "shop": shop,
                "funds": "direct" if options["direct"] else "held",
                "sealed_credentials": credentials.sealed(_fresh_secrets()),
            },
        )
        if account.shop != shop:
            raise CommandError(f"the account {account} belongs to another shop")
        sandbox.register(account)
        self.stdout.write(f"{account} ({account.funds}) {'opened' if made else 'known'} at {settings.SANDBOX_URL}")


def _fresh_secrets() -> dict[str, str]:
    return {
        "api_key": secrets.token_urlsafe(32),
        "webhook_secrets": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
