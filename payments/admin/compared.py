"""What was compared when something did not fit, side by side: the line, the settlement, the payment, the refund."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

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
        (_("kind"), line.kind),
        (_("amount"), shown_money(line.amount, line.currency)),
        (_("fee"), shown_money(line.fee, line.currency)),
        (_("happened"), _moment(line.occurred_at)),
        (_("its id"), line.object_id),
        (_("reference"), line.reference),
        (_("settlement"), line.settlement_id),
        (_("outcome"), line.outcome),
        (_("match"), str(line.match or "")),
    ]
    ours = _("Our bank's line %(number)s") % {"number": line.number}
    theirs = _("The provider's line %(number)s") % {"number": line.number}
    return Side(theirs if line.provider_account_id else ours, link(line), _said(says))


def _settlement(row: Settlement) -> Side:
    says = [
        (_("its id at the provider"), row.reference),
        (_("its lines make"), shown_money(row.lines_amount, row.currency)),
        (_("the provider tells"), shown_money(row.told_amount, row.currency) if row.told_amount is not None else ""),
        (_("our bank got"), shown_money(row.arrived_amount, row.currency)),
        (_("state"), row.get_state_display()),
    ]
    return Side(_("The settlement"), link(row), _said(says))


def _payment(row: Payment) -> Side:
    says = [
        (_("amount"), shown_money(row.amount, row.currency)),
        (_("happened"), _moment(row.occurred_at)),
        (_("its id at the provider"), row.object_id),
        (_("match"), row.get_match_display()),
        (_("stands"), _("with the shop") if row.placed else _("in suspense")),
    ]
    return Side(_("The payment in our book"), link(row), _said(says))


def _refund(row: Refund) -> Side:
    says = [
        (_("amount"), shown_money(row.amount, row.currency)),
        (_("state"), row.get_state_display()),
        (_("asked by"), row.get_origin_display()),
        (_("its id at the provider"), row.object_id),
    ]
    return Side(_("The refund in our book"), link(row), _said(says))


def _payout(row: Payout) -> Side:
    says = [
        (_("amount"), shown_money(row.amount, row.currency)),
        (_("state"), row.get_state_display()),
        (_("failure"), row.failure),
    ]
    return Side(_("The payout"), link(row), _said(says))


def _moment(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _said(says: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in says if value]
