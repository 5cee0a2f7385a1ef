"""What was compared when something did not fit, side by side: the line, the settlement, the payment, the refund."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.safestring import SafeString

from merchants.lists import shown_money
from payments.admin.links import link
from payments.models import Discrepancy, Payment, Payout, Refund, Settlement, StatementLine


@dataclass(frozen=True, slots=True)
class Side:
    """One of the things that were compared: what it is, its page, and what it says."""

    title: str
    page: SafeString | str
    says: list[tuple[str, str]]


def compared(row: Discrepancy) -> list[Side]:
    """The sides of a discrepancy, those that exist."""
    sides = []
    if row.line is not None:
        sides.append(_line(row.line))
    if row.settlement is not None:
        sides.append(_settlement(row.settlement))
    if row.payment is not None:
        sides.append(_payment(row.payment))
    if row.refund is not None:
        sides.append(_refund(row.refund))
    if row.payout is not None:
        sides.append(_payout(row.payout))
    return sides


def _line(line: StatementLine) -> Side:
    says = [
        ("kind", line.kind),
        ("amount", shown_money(line.amount, line.currency)),
        ("fee", shown_money(line.fee, line.currency)),
        ("happened", _moment(line.occurred_at)),
        ("its id", line.object_id),
        ("reference", line.reference),
        ("settlement", line.settlement_id),
        ("outcome", line.outcome),
        ("match", str(line.match or "")),
    ]
    whose = "provider's line" if line.provider_account_id else "our bank's line"
    return Side(f"The {whose} {line.number}", link(line), _said(says))


def _settlement(row: Settlement) -> Side:
    says = [
        ("its id at the provider", row.reference),
        ("its lines make", shown_money(row.lines_amount, row.currency)),
        ("the provider tells", shown_money(row.told_amount, row.currency) if row.told_amount is not None else ""),
        ("our bank got", shown_money(row.arrived_amount, row.currency)),
        ("state", row.state),
    ]
    return Side("The settlement", link(row), _said(says))


def _payment(row: Payment) -> Side:
    says = [
        ("amount", shown_money(row.amount, row.currency)),
        ("happened", _moment(row.occurred_at)),
        ("its id at the provider", row.object_id),
        ("match", row.match),
        ("stands", "with the shop" if row.placed else "in suspense"),
    ]
    return Side("The payment in our book", link(row), _said(says))


def _refund(row: Refund) -> Side:
    says = [
        ("amount", shown_money(row.amount, row.currency)),
        ("state", row.state),
        ("asked by", row.origin),
        ("its id at the provider", row.object_id),
    ]
    return Side("The refund in our book", link(row), _said(says))


def _payout(row: Payout) -> Side:
    says = [("amount", shown_money(row.amount, row.currency)), ("state", row.state), ("failure", row.failure)]
    return Side("The payout", link(row), _said(says))


def _moment(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _said(says: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in says if value]
