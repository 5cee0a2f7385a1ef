"""Payday with a real worker and the pretend bank: a released payout is found, paid and confirmed, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from merchants.models import Notice
from payments.models import Holiday, LedgerEntry, Payout, PayoutTerms, ProviderAccount
from tests.cast import Person
from tests.payday import SHANGHAI, earn, proved, released
from tests.sandbox.pretend_shop import eventually
from tests.till import assert_books_hold
from tests.walks.running import Product

pytestmark = pytest.mark.xdist_group("walks")


@pytest.fixture
def payout(product: Product, account: ProviderAccount, mei: Person) -> Payout:
    """What became available yesterday, with a cut-off of midnight: released, and nobody has rung a bell."""
    now = timezone.now()
    today = now.astimezone(SHANGHAI).date()
    PayoutTerms.objects.create(
        currency="CNY", delay_days=0, cut_off="00:00", channel="sandbox", calendar="CN", minimum_amount=1
    )
    Holiday.objects.create(calendar="CN", day=today, name="whatever day it is, it is worked", working=True)
    proved(mei, now=now)
    earn(mei, 200, at=now - timedelta(days=1))
    return released(now)


def bank_knows(product: Product, payout: Payout) -> list[str]:
    rows = product.wallet.control("GET", "/payouts").json()["payouts"]
    return [row["state"] for row in rows if row["reference"] == payout.reference]


def is_paid(payout: Payout) -> bool:
    payout.refresh_from_db()
    return payout.state == "paid"


def test_a_released_payout_is_found_by_the_sweep_and_paid(product: Product, mei: Person, payout: Payout) -> None:
    eventually(lambda: is_paid(payout), "the payout to be paid", within_s=40)
    assert bank_knows(product, payout) == ["paid"]
    entries = LedgerEntry.objects.filter(cause_id=payout.id).order_by("id").values_list("kind", "amount")
    assert list(entries) == [("payout_asked", 200), ("payout_paid", 200)]
    told = Notice.objects.filter(kind__in=["payout_sent", "payout_paid"]).order_by("number")
    assert list(told.values_list("kind", flat=True)) == ["payout_sent", "payout_paid"]
    assert_books_hold()


def test_a_worker_that_is_killed_while_the_bank_pays_pays_it_once(
    product: Product, mei: Person, payout: Payout
) -> None:
    eventually(lambda: bank_knows(product, payout), "the bank to know of it", within_s=40)
    product.kill("errands")
    product.revive("errands")
    eventually(lambda: is_paid(payout), "the payout to be paid", within_s=60)
    assert bank_knows(product, payout) == ["paid"]
    assert_books_hold()
