"""Whatever statements say, in whatever order they come and are looked at: one outcome a line, one match a payment.

The fees that were booked are those that matched lines state, less what questions claim; undone, nothing is left.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments import refunds
from payments.models import Discrepancy, Match, Payment, QueuedEvent, Refund, StatementLine
from payments.settlement import matching, undoing
from tests.cast import Person, empty_tables, open_shop
from tests.evening import balances, contract, look, sale, stated, told
from tests.till import assert_books_hold, drain, platform, refund_told, total

FAULTS = ["fits", "fits", "twice", "amount", "fee", "currency", "parts", "unknown", "nameless", "lost"]


def day_of(mei: Person, rng: st.DataObject) -> list[dict[str, object]]:
    """What a day's files say of some payments and refunds, each line with a fault of its own or none."""
    said: list[dict[str, object]] = []
    for number in range(rng.draw(st.integers(1, 4))):
        payment = sale(mei, 1000 + number)
        if rng.draw(st.booleans()):
            said.append(told(given_back(mei, payment, 100 + number), fee=-1))
        line = told(payment, fee=6)
        match rng.draw(st.sampled_from(FAULTS)):
            case "twice":
                said += [line, dict(line)]
            case "amount":
                said.append({**line, "amount": 900})
            case "fee":
                said.append({**line, "fee": 60})
            case "currency":
                said.append({**line, "currency": "USD"})
            case "parts":
                said += [{**line, "amount": 400, "fee": 2}, {**line, "amount": payment.amount - 400, "fee": 4}]
            case "unknown":
                said += [line, {**line, "object_id": f"wpy_unknown_{number}", "reference": ""}]
            case "nameless":
                said.append({**line, "object_id": "", "reference": ""})
            case "fits":
                said.append(line)
    return said


def given_back(mei: Person, payment: Payment, amount: int) -> Refund:
    asked = refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())
    refund_told(payment, "succeeded", refund=asked).deliver()
    drain()
    return Refund.objects.select_related("payment").get(id=asked.id)


@pytest.mark.usefixtures("real_db")
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.data())
def test_every_line_ends_once_and_undoing_leaves_nothing(rng: st.DataObject) -> None:
    empty_tables()
    mei = open_shop("+8613800138000", "Mei's fruit")
    contract(mei.user)
    platform()
    for line in rng.draw(st.permutations(day_of(mei, rng))):
        stated(line, fetched=rng.draw(st.booleans()), operator=mei.user)
        if rng.draw(st.booleans()):
            matching.look(now=timezone.now(), limit=rng.draw(st.integers(1, 3)))
    for hours in (0, 2, 9, 40, 80, 120, 160):  # Every look that is to come; what files prove is booked in between.
        look(timedelta(hours=hours))
        QueuedEvent.objects.update(due_at=timezone.now())
        drain()

    lines = StatementLine.objects.all()
    assert not lines.filter(outcome__in=["", "asked", "timing"]).exists()
    assert not lines.filter(look_at__isnull=False).exists()
    paired = {"matched", "amount_differs", "fee_differs"}
    assert all((line.match_id is not None) == (line.outcome in paired) for line in lines)
    for about in ("payment", "refund"):
        holding = Match.objects.filter(undone_at=None, **{f"{about}__isnull": False})
        holding = holding.filter(refund=None) if about == "payment" else holding
        assert holding.count() == holding.values(about).distinct().count()

    said = lines.filter(match__isnull=False).aggregate(fees=Sum("fee", default=0))["fees"]
    open_fees = Discrepancy.objects.filter(reason="fee_differs", state="open")
    claimed = sum(row.details["stated"] - row.details["expected"] for row in open_fees)
    assert -total("provider_fees", account=platform()) == said - claimed
    assert_books_hold()

    without = {key: net for key, net in balances().items() if not key.startswith("provider_fees")}
    receivable = next(key for key in without if key.startswith("provider_receivable|CNY"))
    without[receivable] -= said - claimed
    undoing.undo_all(
        match_ids=list(Match.objects.values_list("id", flat=True)), operator=mei.user, reason="all", now=timezone.now()
    )
    assert balances() == {key: net for key, net in without.items() if net}
    assert_books_hold()
