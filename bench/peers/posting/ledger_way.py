"""django-ledger: a posted journal entry for each payment, by `commit_txs`, as its documentation has it."""

from __future__ import annotations

import time
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.utils import timezone
from django_ledger.io import roles
from django_ledger.models import EntityModel, JournalEntryModel, TransactionModel

VENDORS = 50
_made: dict[str, object] = {}


def fill() -> None:
    """An entity with a chart of accounts is made once; what was booked in it is deleted."""
    TransactionModel.objects.all().delete()
    JournalEntryModel.objects.all().delete()
    if _made:
        return
    owner = get_user_model().objects.create_user("bench")
    entity = EntityModel.create_entity(
        name="Market", use_accrual_method=True, admin=owner, fy_start_month=1
    )  # fmt: skip
    chart = entity.create_chart_of_accounts(assign_as_default=True, commit=True)

    def account(code: int, role: str, name: str, side: str) -> object:
        return entity.create_account(
            code=str(code), role=role, name=name, balance_type=side, active=True, coa_model=chart
        )  # fmt: skip

    _made["clearing"] = account(1010, roles.ASSET_CA_CASH, "Clearing", "debit")
    # It refuses an entry that mixes income with what is owed, so the fee is owed too.
    _made["fees"] = account(2010, roles.LIABILITY_CL_ACC_PAYABLE, "Fees", "credit")
    _made["vendors"] = [
        account(2100 + n, roles.LIABILITY_CL_ACC_PAYABLE, f"Vendor {n}", "credit") for n in range(VENDORS)
    ]
    _made["ledger"] = entity.create_ledger(name="Payments", posted=True)


def one_by_one(events: int) -> float:
    ledger, vendors = _made["ledger"], _made["vendors"]
    began = time.perf_counter()
    for number in range(events):
        lines = (
            (_made["clearing"], "2.00", "debit"),
            (_made["fees"], "0.02", "credit"),
            (vendors[number % VENDORS], "1.98", "credit"),  # type: ignore[index]
        )
        ledger.commit_txs(  # type: ignore[attr-defined]
            je_timestamp=timezone.now(),
            je_txs=[
                {"account": account, "amount": Decimal(amount), "tx_type": side, "description": "paid"}
                for account, amount, side in lines
            ],
            je_posted=True,
        )
    return time.perf_counter() - began


def check(events: int) -> None:
    assert JournalEntryModel.objects.filter(posted=True).count() == events
    assert TransactionModel.objects.count() == 3 * events
    sides = dict.fromkeys(("debit", "credit"), Decimal(0))
    for side, amount in TransactionModel.objects.values_list("tx_type", "amount"):
        sides[side] += amount
    assert sides["debit"] == sides["credit"] == events * Decimal("2.00")
