"""Payday for tests: a shop with money to be paid out, terms, an account that was proved, and a week to come.

Entries are numbered by the time that they are given, so a test lives in the week after next and moves through it.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from merchants import step_up
from merchants.models import User
from merchants.step_up import Confirmation
from payments import reconcile
from payments.models import BankAccount, Payment, Payout, PayoutAccount, PayoutBatch, PayoutTerms
from payments.payouts import accounts, bank_numbers, batches, preparing
from tests.cast import Person, code_sent_to
from tests.till import drain, expect, make_due, paid, shop_code

IBAN = "DE89370400440532013000"  # The registry's own example.
CNAPS, NUMBER = "102100099996", "6222021234567890128"
SHANGHAI = ZoneInfo("Asia/Shanghai")
_CHIEF, _SECOND = "+8613600136001", "+8613600136002"


def monday(hour: int = 12, minute: int = 0, *, days: int = 0) -> datetime:
    """A moment of the Monday after next (or so many days later) on Mei's clock."""
    today = timezone.now().astimezone(SHANGHAI).date()
    first = today + timedelta(days=14 - today.weekday())
    return datetime.combine(first + timedelta(days=days), time(hour, minute), tzinfo=SHANGHAI).astimezone(UTC)


def earn(person: Person, amount: int, *, at: datetime) -> Payment:
    """Held money that becomes available at that moment."""
    paid(expect(shop_code(person.shop), amount)).deliver()
    drain()
    payment = Payment.objects.filter(shop=person.shop).latest("id")
    make_due(at, payment)
    reconcile.release_due(now=at, limit=100)
    payment.refresh_from_db()
    assert payment.due_at is None
    return payment


def terms(*, channel: str = "file", minimum: int = 1, delay: int = 1, calendar: str = "CN") -> PayoutTerms:
    """For all shops that sell in yuan: cut-off at 18:00."""
    return PayoutTerms.objects.create(
        shop=None, currency="CNY", minimum_amount=minimum, delay_days=delay, cut_off=time(18), channel=channel,
        calendar=calendar,
    )  # fmt: skip


def our_bank() -> BankAccount:
    return BankAccount.objects.create(
        name="main", holder="Pushcart Ltd", number="DE75512108001245126199", bank_code="SOGEDEFFXXX", currency="CNY"
    )


def operator(phone: str = _CHIEF) -> User:
    return User.objects.filter(phone=phone).first() or User.objects.create_user(phone, is_staff=True)


def second_operator() -> User:
    return operator(_SECOND)


def confirmation(person: Person, now: datetime) -> Confirmation:
    """A right guess at a fresh code of hers."""
    step_up.send_code(staff=person.staff, purpose="payout", address="127.0.0.1", now=now)
    return step_up.confirm(user=person.user, purpose="payout", code=code_sent_to(person.phone), now=now)


def entered(person: Person, number: str = NUMBER, *, holder: str = "Mei Chen", now: datetime) -> PayoutAccount:
    """An account that she entered with a code; it waits."""
    bank = bank_numbers.local("CN", CNAPS, number) if number[0].isdigit() else bank_numbers.iban(number)
    return accounts.request(
        staff=person.staff, bank=bank, holder=holder, confirmation=confirmation(person, now), now=now
    )


def proved(person: Person, number: str = NUMBER, *, holder: str = "Mei Chen", now: datetime) -> PayoutAccount:
    """The first account of her shop, entered, proved by a document, and active."""
    account = entered(person, number, holder=holder, now=now)
    accounts.verify(account_id=account.id, operator=operator(), reason="bank card seen", now=now)
    assert accounts.apply_due(now=now) == 1
    account.refresh_from_db()
    return account


def prepared(at: datetime) -> Payout:
    """The one payout that the system makes at that moment."""
    assert preparing.prepare(now=at, limit=10) == 1
    return Payout.objects.select_related("batch", "account").latest("id")


def released(at: datetime) -> Payout:
    """The one payout of that moment, released by an operator."""
    payout = prepared(at)
    batch = PayoutBatch.objects.get(payouts=payout)
    batches.release(batch_id=batch.id, operator=operator(), reason="checked", now=at)
    payout.refresh_from_db()
    return payout
