"""Payouts in the back office: accounts proved, terms and holidays entered, batches released and downloaded."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone

from merchants.audit import UnableToAct
from merchants.models import OperatorAct
from payments.models import BankAccount, Holiday, Payout, PayoutAccount, PayoutBatch, PayoutTerms
from payments.payouts import batches, outcomes, pain001
from tests.cast import Person
from tests.operators import CHIEF_PHONE, Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.payday import NUMBER, earn, entered, monday, our_bank, prepared, proved, terms
from tests.till import assert_books_hold, platform

pytestmark = pytest.mark.django_db

TUESDAY = monday(1, days=1)


@pytest.fixture
def wei() -> Operator:
    return signed_in()


@pytest.fixture
def batch(mei: Person) -> PayoutBatch:
    platform()
    terms()
    our_bank()
    proved(mei, now=monday(9))
    earn(mei, 200, at=monday(12))
    return PayoutBatch.objects.get(payouts=prepared(TUESDAY))


def download(operator: Operator, batch: PayoutBatch) -> Any:
    return operator.client.get(f"/admin/payments/payoutbatch/{batch.pk}/file/")


def test_every_page_opens(wei: Operator, batch: PayoutBatch) -> None:
    payout = Payout.objects.get()
    for table, row in (("payoutaccount", payout.account), ("payoutbatch", batch), ("payout", payout)):
        shown = wei.client.get(f"/admin/payments/{table}/")
        assert (shown.status_code, str(row) in shown.text) == (200, True)
        page = wei.client.get(f"/admin/payments/{table}/{row.pk}/change/")
        assert (page.status_code, NUMBER in page.text, str(row) in page.text) == (200, False, True)
        found = wei.client.get(f"/admin/payments/{table}/", {"q": str(row)})
        assert str(row) in found.text
    as_a_bank_writes_it = wei.client.get("/admin/payments/payout/", {"q": pain001.reference(payout.reference).upper()})
    assert payout.reference in as_a_bank_writes_it.text
    for table in ("payoutterms", "holiday"):
        assert wei.client.get(f"/admin/payments/{table}/").status_code == 200


def test_an_account_is_proved_by_a_document_that_is_named(wei: Operator, mei: Person) -> None:
    account = entered(mei, now=timezone.now())
    wei.act("payments/payoutaccount", account, "verify", "bank card, seen on 3 May")
    account.refresh_from_db()
    assert (account.verified_by, account.verification) == (wei.user, "bank card, seen on 3 May")
    assert acts() == [("verify", "bank card, seen on 3 May")]
    wei.act("payments/payoutaccount", account, "refuse", "she called")
    assert PayoutAccount.objects.get().state == "canceled"
    assert acts()[1:] == [("refuse", "she called")]


def test_below_the_limit_one_operator_releases_and_gets_the_same_file_each_time(
    wei: Operator, batch: PayoutBatch
) -> None:
    assert download(wei, batch).status_code == 302
    wei.act("payments/payoutbatch", batch, "release", "totals compared")
    batch.refresh_from_db()
    assert (batch.state, batch.released_by) == ("released", wei.user)
    first, second = download(wei, batch), download(wei, batch)
    assert first.content == second.content
    assert hashlib.sha256(first.content).hexdigest() == batch.sha256
    assert first.headers["Content-Disposition"] == f'attachment; filename="{batch}.xml"'
    assert "no-store" in first.headers["Cache-Control"]
    names = {"": pain001.NAMESPACE}
    assert [one.text for one in ET.fromstring(first.content).findall(".//CdtrAcct/Id/Othr/Id", names)] == [NUMBER]
    assert acts("verify") == [("release", "totals compared"), ("download", ""), ("download", "")]
    trail = json.dumps(list(OperatorAct.objects.values("after", "before", "reason")))
    assert (batch.sha256 in trail, NUMBER in trail) == (True, False)


def test_a_payout_that_failed_later_stays_in_the_file(wei: Operator, batch: PayoutBatch) -> None:
    wei.act("payments/payoutbatch", batch, "release", "seen")
    before = download(wei, batch).content
    outcomes.end(payout_id=Payout.objects.get().id, word="failed", at=TUESDAY, now=TUESDAY)
    assert download(wei, batch).content == before


def test_a_file_that_would_not_be_the_same_is_not_given(wei: Operator, batch: PayoutBatch) -> None:
    wei.act("payments/payoutbatch", batch, "release", "seen")
    BankAccount.objects.update(holder="Another Ltd")
    assert download(wei, batch).status_code == 302
    assert "download" not in dict(acts())


def test_a_number_that_no_key_opens_stops_the_release_and_nothing_leaves(wei: Operator, batch: PayoutBatch) -> None:
    PayoutAccount.objects.update(sealed_number=b"sealed by a key that is gone")
    wei.act("payments/payoutbatch", batch, "release", "seen")
    assert (PayoutBatch.objects.get().state, Payout.objects.get().state) == ("prepared", "prepared")
    assert "release" not in dict(acts())


def test_above_the_limit_it_takes_two(wei: Operator, batch: PayoutBatch, settings: LazySettings) -> None:
    settings.FOUR_EYES_PAYOUT_ABOVE = {"CNY": 199}
    chief = signed_in(CHIEF_PHONE, superuser=True)

    wei.act("payments/payoutbatch", batch, "release", "at once")
    assert PayoutBatch.objects.get().state == "prepared"
    wei.act("payments/payoutbatch", batch, "approve", "totals compared")
    wei.act("payments/payoutbatch", batch, "release", "and now")
    assert PayoutBatch.objects.get().state == "prepared"
    assert acts("verify") == [("approve", "totals compared")]
    chief.act("payments/payoutbatch", batch, "approve", "me too")
    assert PayoutBatch.objects.get().approved_by == wei.user

    chief.act("payments/payoutbatch", batch, "release", "compared again")
    row = PayoutBatch.objects.get()
    assert (row.state, row.approved_by, row.released_by) == ("released", wei.user, chief.user)
    assert_books_hold()


@pytest.mark.parametrize(
    ("above", "act", "code"),
    [
        (199, "release", "second_operator_needed"),
        (200, "approve", "one_is_enough"),
    ],
)
def test_what_the_page_does_not_offer_is_refused_all_the_same(
    wei: Operator, batch: PayoutBatch, settings: LazySettings, above: int, act: str, code: str
) -> None:
    settings.FOUR_EYES_PAYOUT_ABOVE = {"CNY": above}
    with pytest.raises(UnableToAct) as refusal:
        getattr(batches, act)(batch_id=batch.id, operator=wei.user, reason="", now=TUESDAY)
    assert refusal.value.code == code


def test_the_limit_of_a_currency_that_is_not_listed_is_ten_thousand_whole_units(settings: LazySettings) -> None:
    settings.FOUR_EYES_PAYOUT_ABOVE = {"CNY": 0}
    assert [batches.limit(currency) for currency in ("CNY", "KWD", "JPY")] == [0, 10_000_000, 10_000]


def test_a_canceled_batch_gives_the_money_back(wei: Operator, batch: PayoutBatch) -> None:
    wei.act("payments/payoutbatch", batch, "cancel", "a wrong day")
    assert (PayoutBatch.objects.get().state, Payout.objects.get().state) == ("canceled", "failed")
    assert download(wei, batch).status_code == 302
    assert_books_hold()


def test_without_the_right_to_release_nothing_leaves_and_no_number_is_read(wei: Operator, batch: PayoutBatch) -> None:
    wei.act("payments/payoutbatch", batch, "release", "seen")
    wei.user.groups.clear()
    assert download(wei, batch).status_code == 403
    assert wei.act("payments/payoutbatch", batch, "cancel", "no").status_code == 403
    assert wei.client.get("/admin/payments/payoutterms/add/").status_code == 403


def test_terms_and_holidays_are_entered_by_a_superuser_and_recorded(wei: Operator, mei: Person) -> None:
    chief = signed_in(CHIEF_PHONE, superuser=True)
    form = {
        "shop": "", "currency": "cny", "minimum_amount": "100", "delay_days": "1", "cut_off": "18:00",
        "channel": "file", "calendar": "CN", "reason": "the contract of May",
    }  # fmt: skip
    assert wei.client.post("/admin/payments/payoutterms/add/", form).status_code == 403
    assert chief.client.post("/admin/payments/payoutterms/add/", {**form, "currency": "ZZZ"}).status_code == 200
    assert chief.client.post("/admin/payments/payoutterms/add/", {**form, "delay_days": "31"}).status_code == 200
    assert PayoutTerms.objects.count() == 0
    assert chief.client.post("/admin/payments/payoutterms/add/", form).status_code == 302
    row = PayoutTerms.objects.get()
    changed = {**form, "minimum_amount": "200", "reason": "a new contract"}
    assert chief.client.post(f"/admin/payments/payoutterms/{row.pk}/change/", changed).status_code == 302
    day = {"calendar": "CN", "day": "2027-02-06", "name": "a Saturday that is worked", "working": "on"}
    assert chief.client.post("/admin/payments/holiday/add/", day).status_code == 302
    assert Holiday.objects.values_list("calendar", "working").get() == ("CN", True)
    assert acts() == [("set_payout_terms", "the contract of May"), ("set_payout_terms", "a new contract"),
                      ("add_holiday", "")]  # fmt: skip
    act = OperatorAct.objects.filter(act="set_payout_terms").latest("id")
    assert (act.before["minimum_amount"], act.after["minimum_amount"], act.after["currency"]) == (100, 200, "CNY")
    with time_machine.travel(monday(9)):
        assert mei.api().get("/api/v1/payouts/next").json()["minimum"]["amount"] == 200
