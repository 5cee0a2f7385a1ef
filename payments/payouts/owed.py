"""What a shop is owed, when it is paid, and why it is not: decided from what stands, without clock or database. Pure.

Only held money that is available is ever owed: what is pending has not settled, and direct money has reached the shop
already. What was available at the cut-off of a day is paid some working days later; whatever has left since then has
left it first, and what came in since then waits for the next turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from payments.payouts.working_days import Calendar


class Reason(StrEnum):
    """Why nothing is paid now."""

    SHOP_RESTRICTED = "shop_restricted"
    SHOP_FROZEN = "shop_frozen"
    SHOP_CLOSED = "shop_closed"
    NO_TERMS = "no_terms"
    NO_ACCOUNT = "no_account"
    ACCOUNT_UNVERIFIED = "account_unverified"
    ACCOUNT_CHANGING = "account_changing"
    PAYOUT_FAILED = "payout_failed"
    BALANCE_NEGATIVE = "balance_negative"
    NOTHING_AVAILABLE = "nothing_available"
    BELOW_MINIMUM = "below_minimum"
    NOT_YET = "not_yet"


class Account(StrEnum):
    """How it stands with the account that a shop is paid to."""

    NONE = "none"
    UNVERIFIED = "unverified"
    CHANGING = "changing"
    FAILED = "failed"  # The last payout to it did not arrive, and nobody has looked into it yet.
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Terms:
    """When a shop is paid, on its own clock, and how little is not worth a payment."""

    minimum_amount: int
    delay_days: int
    cut_off: time
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Turn:
    """One payout: of what was earned until `cut_off_at` of `earned_day`, on `pay_day`, not before `opens_at`."""

    earned_day: date
    pay_day: date
    cut_off_at: datetime
    opens_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A shop in one currency: minor units of its held money. `came_since`: into available, after the turn's cut-off."""

    shop_state: str
    available: int
    pending: int
    came_since: int
    account: Account


@dataclass(frozen=True, slots=True)
class Owed:
    """What the turn would pay by what stands now; `reason` is empty when it is paid now."""

    amount: int
    reason: Reason | None


def next_turn(now: datetime, terms: Terms, calendar: Calendar, *, handled: date | None) -> Turn:
    """The turn that is due or comes next, after those until the earned day `handled`.

    Raises NoWorkingDay for a calendar on which nobody works.
    """
    pay_day = calendar.next_working(now.astimezone(terms.zone).date())
    turn = _turn(pay_day, terms, calendar)
    while handled is not None and turn.earned_day <= handled:
        pay_day = calendar.next_working(pay_day + timedelta(days=1))
        turn = _turn(pay_day, terms, calendar)
    return turn


def owed(standing: Standing, terms: Terms, turn: Turn, *, now: datetime) -> Owed:
    """What this turn pays the shop, or why it pays nothing now."""
    amount = max(0, standing.available - standing.came_since)
    return Owed(amount, _reason(standing, terms, turn, amount, now))


def without_terms(shop_state: str) -> Reason:
    """Why a shop is not paid for which nobody has set terms."""
    return _of_shop(shop_state) or Reason.NO_TERMS


def _turn(pay_day: date, terms: Terms, calendar: Calendar) -> Turn:
    """The latest day whose delay is over on this working day: back from it over as many working days as the delay."""
    earned_day = pay_day
    for _ in range(terms.delay_days):
        earned_day = calendar.last_working(earned_day) - timedelta(days=1)
    cut_off_at = datetime.combine(earned_day, terms.cut_off, tzinfo=terms.zone)
    begins = datetime.combine(pay_day, time(), tzinfo=terms.zone)
    return Turn(earned_day, pay_day, cut_off_at, max(cut_off_at, begins))


def _reason(standing: Standing, terms: Terms, turn: Turn, amount: int, now: datetime) -> Reason | None:
    held_back = _of_shop(standing.shop_state) or _of_account(standing.account)
    if held_back is not None:
        return held_back
    if standing.available < 0 or standing.available + standing.pending < 0:
        return Reason.BALANCE_NEGATIVE
    if turn.opens_at > now:
        return Reason.NOT_YET if standing.available else Reason.NOTHING_AVAILABLE
    if not amount:
        return Reason.NOTHING_AVAILABLE
    return Reason.BELOW_MINIMUM if amount < terms.minimum_amount else None


def _of_shop(state: str) -> Reason | None:
    return None if state == "active" else Reason(f"shop_{state}")


def _of_account(account: Account) -> Reason | None:
    reasons = {
        Account.NONE: Reason.NO_ACCOUNT,
        Account.UNVERIFIED: Reason.ACCOUNT_UNVERIFIED,
        Account.CHANGING: Reason.ACCOUNT_CHANGING,
        Account.FAILED: Reason.PAYOUT_FAILED,
    }
    return reasons.get(account)
