"""`withdraw_receipt_key`: ends all trust in a key that signs receipts, now, because somebody may have read it.

Another key signs from the same moment on. Phones that are online learn it with their next look; one without network
goes on believing the old key until it has read the list again, at the longest until the key would have ended anyway.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from merchants.audit import UnableToAct
from merchants.models import User
from payments import receipt_keys


class Command(BaseCommand):
    help = "Withdraws a key that signs receipts (a leak), and puts another in its place. It cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=int, help="as statements and /api/v1/receipt-keys name it")
        parser.add_argument("--reason", required=True, help="for the operators' trail")
        parser.add_argument("--operator", required=True, help="the phone number of the operator who decides it")

    def handle(self, *args: Any, **options: Any) -> None:
        operator = User.objects.filter(phone=options["operator"], is_staff=True, is_active=True).first()
        if operator is None:
            raise CommandError(f"{options['operator']} is no operator (manage.py add_operator makes one).")
        if not options["reason"].strip():
            raise CommandError("Please say why, for the operators' trail.")
        now = timezone.now()
        try:
            key = receipt_keys.withdraw(
                number=options["number"], reason=options["reason"].strip(), operator=operator, now=now
            )
        except UnableToAct as refusal:
            raise CommandError(refusal.detail)
        self.stdout.write(f"Receipt key {key.number} is withdrawn; key {receipt_keys.signing(now=now).number} signs.")
