"""What can end a discrepancy with money: a small closed table of remedies, each with its reasons and what it books.

Pure. Nobody chooses accounts freely: whoever ends a discrepancy chooses one of these, and where the money then goes
follows from the discrepancy itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.utils.translation import gettext_lazy

from payments import chart
from payments.chart import Place, Source
from payments.models import Discrepancy

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Reason = Discrepancy.Reason


@dataclass(frozen=True, slots=True)
class Case:
    """A discrepancy as its remedies see it, in minor units of `currency`.

    `missing` says by its sign what our book has too much (above zero: money that will not come) or too little of.
    `source` is where the money of its payment (or of its account, when it has none) stands; `left` is what suspense
    holds of the payment; `moving`: a refund or a dispute of the payment has not ended; `provable`: a statement's line
    says enough of what our book does not know to be booked.
    """

    reason: str
    amount: int
    currency: str
    missing: int
    source: Source | None
    payment_id: UUID | None
    left: int
    moving: bool
    pending: bool
    shop_known: bool
    provable: bool = False

    @property
    def in_suspense(self) -> bool:
        """It is about a payment that nobody could place."""
        return self.payment_id is not None and self.source is not None and not self.source.placed

    @property
    def direct(self) -> bool:
        return self.source is not None and self.source.funds == "direct"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to an end. `sides` says what is debited and credited, given the case and the shop it is for (if any).

    `whole`: it takes all that there is, no part of it. `asks_shop`: a shop has to be named. `hindrance` answers the
    code of what stands in its way in this case, or "".
    """

    name: str
    label: StrOrPromise
    says: StrOrPromise
    reasons: frozenset[str]
    sides: Callable[[Case, UUID | None], tuple[Place, Place]]
    hindrance: Callable[[Case], str]
    whole: bool = False
    asks_shop: bool = False

    def stands_in_its_way(self, case: Case) -> str:
        """Why it is not possible here, as a code; "" when it is."""
        if case.reason not in self.reasons:
            return "remedy_unfit"
        return self.hindrance(case)


def possible(case: Case) -> list[Remedy]:
    """The remedies that this case admits, in the order of the table."""
    return [remedy for remedy in REMEDIES.values() if not remedy.stands_in_its_way(case)]


def amount_of(remedy: Remedy, case: Case) -> int:
    """All that the remedy could book: what suspense holds of the payment, or what the discrepancy is about."""
    return case.left if case.in_suspense else case.amount


WHY_NOT = {
    "says_too_little": gettext_lazy("The line does not say what it is about; nothing can be booked of it."),
    "remedy_unknown": gettext_lazy("There is no such remedy."),
    "remedy_unfit": gettext_lazy("This remedy is not for such a discrepancy."),
    "not_in_suspense": gettext_lazy("Suspense does not hold this money."),
    "nothing_left": gettext_lazy("Nothing is left of it."),
    "money_moves": gettext_lazy("A refund or a dispute of this payment has not ended."),
    "not_our_money": gettext_lazy(
        "This money has gone to the shop's own account; it is not ours to give or to write off."
    ),
    "no_difference": gettext_lazy("Our book and the provider do not differ here any more."),
    "shop_unknown": gettext_lazy("It is not known whose book this is about."),
    "payment_pending": gettext_lazy("The payment is still pending; its money can be taken when it is available."),
    "payment_has_shop": gettext_lazy("This payment is about a shop already, and not in its currency."),
}


# --- Where the money goes --------------------------------------------------------------------------------------------


def _source(case: Case) -> Source:
    assert case.source is not None
    return case.source


def _turned(case: Case, debit: Place, credit: Place) -> tuple[Place, Place]:
    """As it is for money that is missing; the other way round for money that is too much."""
    return (debit, credit) if case.missing > 0 else (credit, debit)


def _fee(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    """The provider's cost is ours at an account of the platform, and the shop's own at hers."""
    source = _source(case)
    if source.funds == "direct":
        assert source.shop_id is not None
        return _turned(case, chart.available(source.shop_id, "direct"), source.outside)
    return _turned(case, chart.provider_fees(source.provider_account_id), source.outside)


def _loss(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    return _turned(case, chart.ADJUSTMENTS, _source(case).outside if case.source else chart.SUSPENSE)


def _from_shop(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    source = _source(case)
    assert source.shop_id is not None
    return _turned(case, chart.available(source.shop_id, source.funds), source.outside)


def _to_shop(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    assert shop_id is not None
    return chart.SUSPENSE, chart.available(shop_id)


def _kept(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    return chart.SUSPENSE, chart.ADJUSTMENTS


def _as_stated(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    raise AssertionError("what a line says is decided on by way of the inbox, like every other event")


def _left_there(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    return chart.SUSPENSE, _source(case).outside


def _returned(case: Case, shop_id: UUID | None) -> tuple[Place, Place]:
    return chart.SUSPENSE, _source(case).in_flight


# --- What stands in their way ----------------------------------------------------------------------------------------


def _of_suspense(case: Case) -> str:
    if not case.in_suspense:
        return "not_in_suspense"
    if case.moving:
        return "money_moves"
    return "" if case.left > 0 else "nothing_left"


def _of_suspense_held(case: Case) -> str:
    return _of_suspense(case) or ("not_our_money" if case.direct else "")


def _of_suspense_direct(case: Case) -> str:
    return _of_suspense(case) or ("" if case.direct else "remedy_unfit")


def _nobodys(case: Case) -> str:
    return _of_suspense_held(case) or ("payment_has_shop" if case.shop_known else "")


def _keeping(case: Case) -> str:
    if case.reason == Reason.UNKNOWN_CREDIT:
        return "" if case.left > 0 else "not_in_suspense"
    return _of_suspense_held(case)


def _differing(case: Case) -> str:
    if case.source is None:
        return "" if case.left > 0 else "not_in_suspense"
    return "" if case.missing and not case.in_suspense else "no_difference"


def _ours(case: Case) -> str:
    return _differing(case) or ("not_our_money" if case.direct else "")


def _of_a_line(case: Case) -> str:
    return "" if case.provable else "says_too_little"


def _of_a_shop(case: Case) -> str:
    if case.payment_id is None or case.source is None or case.source.shop_id is None or not case.source.placed:
        return "shop_unknown"
    return _differing(case) or ("payment_pending" if case.pending else "")


_STATED = {
    Reason.MISSING_AT_PROVIDER, Reason.AMOUNT_DIFFERS, Reason.CURRENCY_DIFFERS, Reason.MISSING_IN_BOOKS,
    Reason.STATED_TWICE, Reason.STATED_OTHERWISE,
}  # fmt: skip
_SUSPENSE = {Reason.UNKNOWN_REFERENCE, Reason.WRONG_CURRENCY, Reason.REFUND_REFUSED}
_SETTLEMENT = {Reason.SETTLEMENT_DIFFERS, Reason.SETTLEMENT_OVERDUE}

_TABLE = [
    Remedy("accept_fee", gettext_lazy("Accept the fee"),
           gettext_lazy("What the provider kept beyond the agreed fee becomes a cost (or, kept less, a cost "
                        "that is spared)."),
           frozenset({Reason.FEE_DIFFERS, Reason.STATED_OTHERWISE}), _fee, _differing),
    Remedy("accept_settlement", gettext_lazy("Accept what arrived"),
           gettext_lazy("The rest of the settlement will not come (or what came above it stays): our loss, or "
                        "our gain."),
           frozenset(_SETTLEMENT), _loss, _ours),
    Remedy("correct_shop", gettext_lazy("Correct the shop's book"),
           gettext_lazy("The shop was credited what the provider does not pay: it is taken from her available money. "
           "(Or given to her, when the provider pays more.) Her people are told."),
           frozenset({Reason.MISSING_AT_PROVIDER, Reason.AMOUNT_DIFFERS, Reason.CURRENCY_DIFFERS}), _from_shop,
           _of_a_shop),
    Remedy("write_off", gettext_lazy("Write it off"),
           gettext_lazy("Money that will never come is our loss; what was paid too much and nobody claims is "
                        "our gain."),
           frozenset(_STATED | {Reason.UNKNOWN_DEBIT}), _loss, _ours),
    Remedy("book_from_statement", gettext_lazy("Book it from the statement"),
           gettext_lazy("The line is true though our book does not know it: it is booked by way of the inbox, "
                        "as if its provider "
           "had told of it."),
           frozenset({Reason.MISSING_IN_BOOKS}), _as_stated, _of_a_line, whole=True),
    Remedy("place_with_shop", gettext_lazy("Give it to a shop"),
           gettext_lazy("The payment was for this shop: it is hers, available at once, and she is told."),
           frozenset(_SUSPENSE), _to_shop, _nobodys, whole=True, asks_shop=True),
    Remedy("return_to_payer", gettext_lazy("Return it to the payer"),
           gettext_lazy("The provider is asked to refund what is left of the payment."),
           frozenset(_SUSPENSE), _returned, _of_suspense_held, whole=True),
    Remedy("keep", gettext_lazy("Keep it"),
           gettext_lazy("Nobody's money after all, and it cannot be returned: our gain."),
           frozenset(_SUSPENSE | {Reason.UNKNOWN_CREDIT}), _kept, _keeping, whole=True),
    Remedy("leave_with_shop", gettext_lazy("Leave it with the shop"),
           gettext_lazy("The shop's own account has it, in a currency that her book is not kept in: it leaves "
                        "our book."),
           frozenset(_SUSPENSE), _left_there, _of_suspense_direct, whole=True),
]  # fmt: skip
REMEDIES = {remedy.name: remedy for remedy in _TABLE}
