"""The operators' trail: one row for every act, in the act's own transaction, and nobody changes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.admin import autodiscover
from django.db import transaction
from django.utils import timezone

from merchants import audit, codes, ids
from merchants.acts import ActingAdmin
from merchants.desk import desk
from merchants.models import CodeBatch, OperatorAct
from payments import refunds, remedies
from payments.models import (
    Adjustment,
    CredentialChange,
    Discrepancy,
    Match,
    OldCredentials,
    Payment,
    PayoutBatch,
    QueuedEvent,
    Refund,
    StatementLine,
)
from tests.bank_day import bank_says, credit, look
from tests.cast import LAN_PHONE, Person, open_shop
from tests.evening import look as look_at_lines
from tests.evening import stated, told
from tests.operators import CHIEF_PHONE, acts, add_operator, quick_passwords, signed_in  # noqa: F401
from tests.payday import earn, entered, monday, our_bank, prepared, proved, terms
from tests.settlement_files import taken, wallet_file
from tests.test_reported import wallet_code
from tests.till import drain, expect, paid, platform, shop_code


@pytest.mark.django_db
def test_a_record_names_its_subject_by_its_public_id(mei: Person, now: datetime) -> None:
    operator = add_operator().user
    row = audit.record(
        operator=operator, act="freeze", subject=mei.shop, reason="a tip", before={"a": 1}, after={"a": 2}, now=now
    )
    row.refresh_from_db()
    assert (row.subject_type, row.subject_id) == ("shop", ids.public("shp", mei.shop.id))
    assert (row.operator, row.act, row.reason, row.before, row.after, row.at) == (
        operator, "freeze", "a tip", {"a": 1}, {"a": 2}, now,
    )  # fmt: skip
    assert list(audit.trail(mei.shop)) == [row]
    assert list(audit.trail(operator)) == [OperatorAct.objects.get(act="add_operator")]


def test_a_record_outside_a_transaction_is_our_mistake(real_db: None, now: datetime) -> None:
    operator = add_operator().user
    with pytest.raises(AssertionError):
        audit.record(operator=operator, act="x", subject=operator, reason="", before={}, after={}, now=now)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        audit.record(operator=operator, act="x", subject=operator, reason="", before={}, after={}, now=now)
        raise ZeroDivisionError
    assert not OperatorAct.objects.filter(act="x").exists()


# Every act of every page, with the rows it is done to, in an order in which each is possible.
ACTS = [
    ("payments/queuedevent", "replay"),
    ("payments/discrepancy", "take"),
    ("payments/discrepancy", "resolve"),
    ("merchants/code", "suspend"),
    ("merchants/code", "activate"),
    ("merchants/code", "retire"),
    ("merchants/codebatch", "void"),
    ("merchants/shop", "freeze"),
    ("merchants/shop", "unfreeze"),
    ("merchants/shop", "give-check-word"),
    ("payments/provideraccount", "switch-off"),
    ("payments/provideraccount", "switch-on"),
    ("payments/provideraccount", "check"),
    ("payments/provideraccount", "revoke-old"),
    ("payments/credentialchange", "cancel"),
    ("payments/payoutaccount", "verify"),
    ("payments/payoutaccount", "refuse"),
    ("payments/payoutbatch", "approve"),
    ("payments/payoutbatch", "release"),
    ("payments/payoutbatch", "cancel"),
    ("payments/statement", "reread"),
    ("payments/statement", "fetch-again"),
    ("payments/match", "undo"),
    ("payments/statementline", "look-again"),
    ("payments/adjustment", "agree"),
    ("payments/adjustment", "refuse"),
    ("merchants/walletcode", "retire"),
    ("payments/refund", "approve"),
    ("payments/refund", "refuse"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["page", "list"])
def test_every_act_of_the_back_office_leaves_one_row_with_its_reason(
    mei: Person, way: str, settings: LazySettings
) -> None:
    autodiscover()  # The pages stand in the registry once somebody has asked for the addresses.
    declared = {
        (f"{model._meta.app_label}/{model._meta.model_name}", act.name): act
        for model, page in desk._registry.items()
        if isinstance(page, ActingAdmin)
        for act in page.acts
    }
    assert set(declared) == set(ACTS)

    operator = signed_in()
    account = platform()
    paid(expect(shop_code(mei.shop), 500), amount=300).deliver()
    broken = paid()
    broken.message["type"] = "nonsense"
    broken.deliver()
    drain()
    subjects = {
        "payments/queuedevent": QueuedEvent.objects.get(),
        "payments/discrepancy": Discrepancy.objects.get(),
        "merchants/code": codes.create(shop=mei.shop, kind="one_time", amount=5, now=timezone.now()),
        "merchants/codebatch": CodeBatch.objects.create(
            label="Market", size=1, made_by=operator.user, created_at=timezone.now()
        ),
        "merchants/shop": mei.shop,
        "payments/provideraccount": account,
        "payments/credentialchange": _waiting_change(mei),
        "payments/payoutaccount": entered(mei, now=timezone.now()),
        "payments/statement": taken(account, wallet_file()),
        "merchants/walletcode": wallet_code(mei),
        **_of_the_evening(mei),
    }
    proposed = _proposed(mei)
    held = _held(mei, settings)
    batches = _batches(open_shop(LAN_PHONE, "Lan's flowers"))
    OldCredentials.objects.create(
        provider_account=account,
        sealed_credentials=bytes(account.sealed_credentials),
        replaced_at=timezone.now(),
        accepted_until=timezone.now() + timedelta(days=7),
    )
    expected = []
    for table, name in ACTS:
        own: dict[str, Any] = {
            "payments/payoutbatch": batches,
            "payments/adjustment": proposed,
            "payments/refund": held,
        }
        subject = own[table][name] if table in own else subjects[table]
        reason = f"because of {name}" if declared[table, name].asks else ""
        if way == "page":
            answer = operator.act(table, subject, name, reason)
        else:
            answer = operator.act_on_list(table, [subject], name, reason)
        assert answer.status_code == 302, answer.content
        expected.append((name.replace("-", "_"), reason))
        done = OperatorAct.objects.filter(operator=operator.user).exclude(act__in=["signed_in", "add_operator"])
        assert list(done.order_by("id").values_list("act", "reason")) == expected
        row = done.latest("id")
        assert row.before != row.after
        assert set(row.before) <= set(row.after)


def _of_the_evening(person: Person) -> dict[str, Match | StatementLine]:
    """A match, and a line that says the same thing once more."""
    paid(expect(shop_code(person.shop), 200)).deliver()
    drain()
    payment = Payment.objects.get(match="exact")
    _first, again = stated(told(payment), told(payment))
    look_at_lines()
    return {"payments/match": Match.objects.get(), "payments/statementline": again}


def _proposed(person: Person) -> dict[str, Adjustment]:
    """What somebody else has proposed: above the limit of one operator."""
    now = timezone.now()
    bank_says(credit(60_000), credit(70_000), now=now)
    look(now)
    asked = Discrepancy.objects.filter(reason="unknown_credit").order_by("id")
    made = [
        remedies.propose(discrepancy_id=one.id, remedy="keep", note="", operator=person.user, now=now) for one in asked
    ]
    return dict(zip(("agree", "refuse"), made, strict=True))


def _held(person: Person, settings: LazySettings) -> dict[str, Refund]:
    """Two refunds above the limit: one for each act."""
    settings.REFUND_REVIEW_ABOVE = {"CNY": 10}
    payment = Payment.objects.get(match="exact")
    made = [
        refunds.request(staff=person.staff, payment=payment, amount=amount, reason="", now=timezone.now())
        for amount in (20, 30)
    ]
    return dict(zip(("approve", "refuse"), made, strict=True))


def _batches(person: Person) -> dict[str, PayoutBatch]:
    """A batch for each act: one above the limit of one operator, and two below it."""
    terms()
    our_bank()
    proved(person, now=monday(9))
    found = {}
    for day, (name, amount) in enumerate({"approve": 9_000_000, "release": 200, "cancel": 300}.items()):
        earn(person, amount, at=monday(12, days=day))
        found[name] = PayoutBatch.objects.get(payouts=prepared(monday(1, days=day + 1)))
    return found


def _waiting_change(person: Person) -> CredentialChange:
    return CredentialChange.objects.create(
        shop=person.shop,
        provider="sandbox",
        sealed_credentials=b"sealed",
        requested_by=person.staff,
        requested_at=timezone.now(),
        effective_at=timezone.now() + timedelta(days=1),
    )


@pytest.mark.django_db
def test_not_even_a_superuser_changes_or_deletes_an_act() -> None:
    chief = signed_in(CHIEF_PHONE, superuser=True)
    row = OperatorAct.objects.latest("id")
    page = f"/admin/merchants/operatoract/{row.pk}"
    assert chief.client.get(f"{page}/change/").status_code == 200
    assert chief.client.post(f"{page}/change/", {"reason": "another"}).status_code == 403
    assert chief.client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert chief.client.post("/admin/merchants/operatoract/add/", {"act": "x"}).status_code == 403
    chief.act_on_list("merchants/operatoract", [row], "delete_selected", "yes")
    assert OperatorAct.objects.count() == 2
    row.refresh_from_db()
    assert row.reason == ""
