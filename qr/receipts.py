"""What a receipt says: decided from the intent, its payments and its refunds alone, and never from the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils.translation import gettext as _

from payments.models import Payment, PaymentIntent, Refund
from qr.reader import Reader, anybody, within

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


def tell(
    intent: PaymentIntent,
    payments: Sequence[Payment],
    refunds: Sequence[Refund],
    *,
    now: datetime,
    reader: Reader | None = None,
) -> Receipt:
    """The receipt at this moment, as this reader writes amounts. `refunds` are those of all these payments."""
    reader = reader or anybody()
    if not payments:
        return _unpaid(intent, reader, now)
    # What counts stands first, even where the wallet told of the second payment before it.
    arrived = sorted(payments, key=lambda payment: (payment.match == Payment.Match.DOUBLE, payment.occurred_at))
    kind, mood, heading, sentence = _of_arrived(intent, arrived, reader)
    lines: list[str] = []
    if kind == "checking" or len(arrived) > 1:
        lines = [_line(payment, intent, number, reader) for number, payment in enumerate(arrived, 1)]
    back = sum(refund.amount for refund in refunds if refund.state == Refund.State.SUCCEEDED)
    if back and back >= sum(payment.amount for payment in arrived):
        kind, mood, heading, sentence = "refunded", "good", _("Refunded"), _("All of it was sent back to you.")
    elif back and kind == "paid":
        kind, heading, sentence = "refunded", _("Paid, partly refunded"), _("A part of it was sent back to you.")
    elif back and back == _surplus(arrived):
        kind, heading, sentence = "refunded", _("Paid"), _("What came above the price was sent back to you.")
    lines += [_refund_line(refund, reader) for refund in refunds]
    asked = [refund for refund in refunds if refund.state == Refund.State.REQUESTED]
    under_way, held = any(not refund.held for refund in asked), any(refund.held for refund in asked)
    return Receipt(
        kind=kind,
        mood=mood,
        heading=heading,
        sentence=sentence,
        amount=reader.amount(*(_came(arrived[0]) if len(arrived) == 1 else _asked(intent))),
        at=arrived[0].occurred_at,
        lines=tuple(lines),
        refresh_s=5 if under_way else 30 if kind == "checking" or held else None,
    )


def _unpaid(intent: PaymentIntent, reader: Reader, now: datetime) -> Receipt:
    kind, mood, heading, sentence = _no_money(intent)
    refresh_s = _patience(now - intent.created_at) if kind == "waiting" else 30 if kind == "expired" else None
    if refresh_s and now - intent.created_at > timedelta(hours=1):
        refresh_s = None  # A tab forgotten for an hour is not worth a request every few seconds.
        if kind == "waiting":
            sentence = _("No payment has reached us yet. Open this page again to see whether it has.")
    asked = reader.amount(*_asked(intent))
    return Receipt(kind, mood, heading, sentence, asked, intent.created_at, refresh_s=refresh_s)


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


def _of_arrived(intent: PaymentIntent, arrived: Sequence[Payment], reader: Reader) -> tuple[Kind, Mood, str, str]:
    match = Payment.Match
    if any(payment.match == match.EXACT for payment in arrived):
        if len(arrived) == 1:
            return "paid", "good", _("Paid"), _("Your money has arrived, and the shop has been told.")
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
    amounts = {
        "asked": within(reader.amount(*_asked(intent))),
        "came": within(reader.amount(*_came(first))),
    }
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


def _line(payment: Payment, intent: PaymentIntent, number: int, reader: Reader) -> str:
    """What is said of one payment among several, the `number`th that came."""
    match = Payment.Match
    if payment.currency != intent.currency:
        said = _("%(amount)s arrived, in another currency")
    elif payment.match == match.EXACT:
        said = _("%(amount)s arrived, as asked")
    elif payment.match == match.SHORT:
        said = _("%(amount)s arrived: less than asked")
    elif payment.match == match.OVER:
        said = _("%(amount)s arrived: more than asked")
    elif payment.match == match.LATE:
        said = _("%(amount)s arrived after closing")
    elif payment.match == match.DOUBLE and number == 2:
        said = _("%(amount)s arrived a second time")
    elif payment.match == match.DOUBLE:
        said = _("%(amount)s arrived once more")
    else:
        said = _("%(amount)s arrived")
    return said % {"amount": within(reader.amount(*_came(payment)))}


def _refund_line(refund: Refund, reader: Reader) -> str:
    if refund.state == Refund.State.REQUESTED and refund.held:
        said = _("%(amount)s is being checked before it is sent back to you")
    elif refund.state == Refund.State.REQUESTED:
        said = _("%(amount)s is on its way back to you")
    elif refund.state == Refund.State.SUCCEEDED:
        said = _("%(amount)s was refunded to you")
    else:
        said = _("%(amount)s could not be refunded; the shop has been told")
    return said % {"amount": within(reader.amount(refund.amount, refund.currency))}


def _asked(intent: PaymentIntent) -> tuple[int, str]:
    return intent.amount, intent.currency


def _came(payment: Payment) -> tuple[int, str]:
    return payment.amount, payment.currency
