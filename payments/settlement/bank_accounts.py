"""Our own accounts at banks: entered once, by an operator who may, with a line in the trail."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from merchants import audit, ids
from merchants.audit import UnableToAct
from merchants.models import User
from payments.models import BankAccount


def add(
    *, name: str, holder: str, number: str, bank_code: str, currency: str, operator: User, reason: str, now: datetime
) -> BankAccount:
    """Enters an account. Raises UnableToAct `account_known` for a name or a number that is there already."""
    plain = "".join(number.split()).upper()
    try:
        with transaction.atomic():
            account = BankAccount.objects.create(
                id=ids.new(now), name=name, holder=holder, number=plain, bank_code=bank_code.upper(), currency=currency
            )
            audit.record(
                operator=operator,
                act="add_bank_account",
                subject=account,
                reason=reason,
                before={},
                after={"name": name, "number": plain, "currency": currency},
                now=now,
            )
    except IntegrityError:
        raise UnableToAct("account_known", _("There is an account of this name or number already.")) from None
    return account
