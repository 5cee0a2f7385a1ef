"""Lets somebody into the back office: a password, an authenticator, recovery codes, and the group of the operators."""

from __future__ import annotations

import base64
import getpass
import io
import secrets
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from qrcode import QRCode

from merchants import audit, phones
from merchants.models import User
from merchants.refusals import Refused

GROUP = "operators"
RECOVERY_CODES = 8
_ACTED_ON = [
    "shop",
    "code",
    "codebatch",
    "queuedevent",
    "discrepancy",
    "provideraccount",
    "credentialchange",
    "statement",
    "match",
    "statementline",
    "adjustment",
    "refund",
    "payoutaccount",
    "payoutbatch",
    "walletcode",
]


class Command(BaseCommand):
    help = "Adds an operator of the back office, or gives one a new password, authenticator and recovery codes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("phone", help="a mobile number with its country: +8613800138000")
        parser.add_argument("--superuser", action="store_true", help="may also say who is an operator")
        parser.add_argument(
            "--generate", action="store_true", help="make a password and print it, instead of asking for one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            phone = phones.mobile(options["phone"]).e164
        except Refused as refusal:
            raise CommandError(str(refusal.detail))
        password = secrets.token_urlsafe(15) if options["generate"] else self._ask(phone)
        user, device, recovery = _admit(phone, password, superuser=options["superuser"])
        address = _otpauth(user, device)
        self.stdout.write(f"{phone} may enter the back office" + (" as a superuser." if user.is_superuser else "."))
        if options["generate"]:
            self.stdout.write(f"\nPassword: {password}")
        self.stdout.write("\nScan this with an authenticator (it is shown only now):\n")
        self.stdout.write(_drawn(address))
        self.stdout.write(address)
        self.stdout.write("\nRecovery codes, each good for one sign-in without the authenticator:")
        for code in recovery:
            self.stdout.write(f"  {code}")

    def _ask(self, phone: str) -> str:
        password = getpass.getpass("Password: ")
        try:
            validate_password(password, User(phone=phone))
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages))
        if password != getpass.getpass("Once more: "):
            raise CommandError("These were two different passwords.")
        return password


def _admit(phone: str, password: str, *, superuser: bool) -> tuple[User, TOTPDevice, list[str]]:
    """The operator with one authenticator and fresh recovery codes; what she had before stops working."""
    with transaction.atomic():
        user, _made = User.objects.get_or_create(phone=phone)
        before = {"is_staff": user.is_staff, "is_superuser": user.is_superuser}
        user.is_staff = user.is_active = True
        user.is_superuser = user.is_superuser or superuser
        user.set_password(password)
        user.save()
        user.groups.add(_operators())
        for kind in (TOTPDevice, StaticDevice):
            kind.objects.filter(user=user).delete()
        device = TOTPDevice.objects.create(user=user, name="authenticator")
        codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
        box = StaticDevice.objects.create(user=user, name="recovery codes")
        StaticToken.objects.bulk_create(StaticToken(device=box, token=code) for code in codes)
        audit.record(
            operator=user,
            act="add_operator",
            subject=user,
            reason="by manage.py add_operator",
            before=before,
            after={"is_staff": True, "is_superuser": user.is_superuser},
            now=timezone.now(),
        )
    return user, device, codes


def _operators() -> Group:
    """The group: sees everything of shops and money, and may act on some tables.

    Users, entering a provider account's credentials, and the terms and holidays of payouts are for superusers.
    """
    group, _made = Group.objects.get_or_create(name=GROUP)
    ours = Permission.objects.filter(content_type__app_label__in=["merchants", "payments"])
    views = Q(codename__startswith="view_") & ~Q(codename__in=["view_user", "view_token", "view_onetimecode"])
    group.permissions.set(ours.filter(views | Q(codename__in=[f"change_{table}" for table in _ACTED_ON])))
    return group


def _otpauth(user: User, device: TOTPDevice) -> str:
    """The key in the form that authenticators read (Google's Key URI format)."""
    secret = base64.b32encode(device.bin_key).decode().rstrip("=")
    parameters = {"secret": secret, "issuer": "Pushcart", "algorithm": "SHA1", "digits": 6, "period": 30}
    return f"otpauth://totp/{quote(f'Pushcart:{user.phone}')}?{urlencode(parameters)}"


def _drawn(text: str) -> str:
    """A QR code for a terminal."""
    code = QRCode(border=2)
    code.add_data(text)
    output = io.StringIO()
    code.print_ascii(out=output, invert=True)
    return output.getvalue()
