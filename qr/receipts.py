"""What a receipt says: decided from the intent, its payments and its refunds alone, and never from the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from merchants.money import shown
from payments.models import Payment, PaymentIntent, Refund

Kind = Literal["waiting", "paid", "checking", "refunded", "refused", "closed", "expired", "not_started"]
Mood = Literal["good", "wait", "bad"]
State = PaymentIntent.State
PRETEND = "sandbox"  # The provider that moves no real money: every page that offers it says so.


@dataclass(frozen=True)
class Receipt:
    """The words of a receipt. `refresh_s`: when the page should ask again; None when nothing more is awaited."""

    kind: Kind
    mood: Mood
    heading: str
    sentence: str
    amount: str
    at: datetime
    lines: tuple[str, ...] = ()
    refresh_s: int | None = None

    @property
    def worth_keeping(self) -> bool:
        """Whether it tells of money, or may yet: whoever believes to have paid comes back to it."""
        return self.kind in ("paid", "checking", "refunded", "expired")


def tell(intent: PaymentIntent, payments: Sequence[Payment], refunds: Sequence[Refund], *, now: datetime) -> Receipt:
    """The receipt at this moment. `refunds` are those of all these payments."""
    if not payments:
        return _unpaid(intent, now)
    arrived = sorted(payments, key=lambda payment: payment.occurred_at)
    kind, mood, heading, sentence = _of_arrived(intent, arrived)
    lines = [_line(payment) for payment in arrived] if kind == "checking" or len(arrived) > 1 else []
    back = sum(refund.amount for refund in refunds if refund.state == Refund.State.SUCCEEDED)
    if back and back >= sum(payment.amount for payment in arrived):
        kind, mood, heading, sentence = "refunded", "good", _("Refunded"), _("All of it was sent back to you.")
    elif back and kind == "paid":
        kind, heading = "refunded", _("Paid, partly refunded")
    elif back and back == _surplus(arrived):
        kind, heading, sentence = "refunded", _("Paid"), _("What came above the price was sent back to you.")
    lines += [_refund_line(refund) for refund in refunds]
    asked = [refund for refund in refunds if refund.state == Refund.State.REQUESTED]
    under_way, held = any(not refund.held for refund in asked), any(refund.held for refund in asked)
    return Receipt(
        kind=kind,
        mood=mood,
        heading=heading,
        sentence=sentence,
        amount=_money(arrived[0].amount, arrived[0].currency) if len(arrived) == 1 else _asked(intent),
        at=arrived[0].occurred_at,
        lines=tuple(lines),
        refresh_s=5 if under_way else 30 if kind == "checking" or held else None,
    )


def _unpaid(intent: PaymentIntent, now: datetime) -> Receipt:
    kind, mood, heading, sentence = _no_money(intent)
    refresh_s = _patience(now - intent.created_at) if kind == "waiting" else 30 if kind == "expired" else None
    if refresh_s and now - intent.created_at > timedelta(hours=1):
        refresh_s = None  # A tab forgotten for an hour is not worth a request every few seconds.
    return Receipt(kind, mood, heading, sentence, _asked(intent), intent.created_at, refresh_s=refresh_s)


def _patience(waited: timedelta) -> int:
    """Every two seconds while the payer looks at the page, then ever less often."""
    return 2 if waited < timedelta(minutes=1) else 5 if waited < timedelta(minutes=5) else 15


def _no_money(intent: PaymentIntent) -> tuple[Kind, Mood, str, str]:
    closing = PaymentIntent.Closing
    if intent.state == State.OPEN and (not intent.startable or intent.start_failure):
        return (
            "not_started",
            "bad",
            _("The wallet does not answer"),
            _("You could not be sent to the wallet, and nothing was paid. Please try again in a moment."),
        )
    if intent.state in (State.OPEN, State.PAID):
        return (
            "waiting",
            "wait",
            _("Waiting for your payment"),
            _("This page says so as soon as the money has arrived. It looks again by itself."),
        )
    if intent.closing == closing.REFUSED:
        return "refused", "bad", _("Not paid"), _("The payment was refused in the wallet. Nothing was paid.")
    if intent.closing == closing.FROZEN:
        return "closed", "bad", _("Not paid"), _("This shop cannot take payments at the moment. Nothing was paid.")
    return (
        "expired",
        "bad",
        _("Time is up"),
        _("No payment has reached us. If your wallet says that you paid, keep this page: it will show your payment."),
    )


def _of_arrived(intent: PaymentIntent, arrived: Sequence[Payment]) -> tuple[Kind, Mood, str, str]:
    match = Payment.Match
    if any(payment.match == match.EXACT for payment in arrived):
        if len(arrived) == 1:
            return "paid", "good", _("Paid"), _("The shop has your money and has been told.")
        if all(payment.match in (match.EXACT, match.DOUBLE) for payment in arrived):
            return (
                "checking",
                "good",
                _("Paid twice") if len(arrived) == 2 else _("Paid more than once"),
                _("Your purchase is paid, once. The shop has been told of what came again, and will check it."),
            )
        return (
            "checking",
            "good",
            _("Paid, and more came"),
            _("Your purchase is paid. More money came than it costs; the shop has been told and will check it."),
        )
    first = arrived[0]
    asked, came = _asked(intent), _money(first.amount, first.currency)
    amounts = {"asked": asked, "came": came}
    if first.currency != intent.currency:
        sentence = _("%(asked)s was asked, but %(came)s arrived, in another currency. We are checking it.")
    elif first.match == match.LATE:
        sentence = _("%(came)s arrived after this payment was closed. The shop has been told and will check it.")
    elif first.match == match.SHORT:
        sentence = _("%(asked)s was asked, but only %(came)s arrived. The shop has been told and will check it.")
    elif first.match == match.OVER:
        sentence = _("%(asked)s was asked, but %(came)s arrived. The shop has been told and will check the rest.")
    else:
        sentence = _("%(came)s arrived, and does not fit what was asked. The shop has been told and will check it.")
    return "checking", "wait", _("Your payment is being checked"), sentence % amounts


def _surplus(arrived: Sequence[Payment]) -> int:
    """What came beside the payment that was asked for; 0 where none did, or it cannot be told in one sum."""
    exact = any(payment.match == Payment.Match.EXACT for payment in arrived)
    if not exact or len({payment.currency for payment in arrived}) > 1:
        return 0
    return sum(payment.amount for payment in arrived if payment.match != Payment.Match.EXACT)


def _line(payment: Payment) -> str:
    words = {
        Payment.Match.EXACT: _("arrived, as asked"),
        Payment.Match.SHORT: _("arrived: less than asked"),
        Payment.Match.OVER: _("arrived: more than asked"),
        Payment.Match.LATE: _("arrived after closing"),
        Payment.Match.DOUBLE: _("arrived a second time"),
    }
    return f"{_money(payment.amount, payment.currency)} {words.get(Payment.Match(payment.match), _('arrived'))}"


def _refund_line(refund: Refund) -> str:
    words = {
        Refund.State.REQUESTED: _("is being checked before it is sent back to you")
        if refund.held
        else _("is on its way back to you"),
        Refund.State.SUCCEEDED: _("was refunded to you"),
        Refund.State.FAILED: _("could not be refunded; the shop has been told"),
    }
    return f"{_money(refund.amount, refund.currency)} {words[Refund.State(refund.state)]}"


def _asked(intent: PaymentIntent) -> str:
    return _money(intent.amount, intent.currency)


def _money(amount: int, currency: str) -> str:
    return shown(amount, currency, get_language() or "en")
