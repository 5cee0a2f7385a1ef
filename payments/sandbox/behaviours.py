"""How the wallet misbehaves on demand: which behaviours there are, who draws them, and what they do to the money.

Real wallets do all of this to their merchants by accident. Here it is asked for: per order (a comma list), on the
payer's page, or by a seeded plan, so that a test can repeat exactly the day that went wrong.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .exchange import Refusal, invalid

BEHAVIOURS: dict[str, str] = {
    "delay": "Tell the shop ten seconds late",
    "duplicate": "Tell the shop three times at once",
    "duplicate_new_id": "Tell the shop three times, as three different events",
    "reorder": "Tell the shop after the next event",
    "lose": "Never tell the shop (it can still ask)",
    "wrong_amount": "Take a different amount",
    "short": "Take too little",
    "over": "Take too much",
    "wrong_currency": "Take another currency",
    "double": "Pay twice",
    "late": "Pay after the order was closed",
    "forge": "Send a badly signed copy as well",
    "refund_fail": "Let refunds of this payment fail",
    "unsettled": "Leave it out of the settlement",
    "settled_twice": "Settle it twice",
    "settled_late": "Settle it a day late",
    "settled_otherwise": "Settle another amount",
    "settled_in_currency": "Settle it in another currency",
    "fee_wrong": "Keep too high a fee",
    "short_payout": "Pay too little of it into the bank",
}

# What it does to payouts; no payer chooses these.
PAYOUT_BEHAVIOURS: dict[str, str] = {
    "payout_fail": "Take a payout on, then let it fail",
    "payout_silent": "Take a payout on and answer 504, as if nothing had come of it",
    "payout_return": "Pay a payout, and have it returned later",
    "payout_wrong_name": "Say that the account has another holder",
}


@dataclass(frozen=True)
class Timings:
    """How long the wallet waits, in seconds, each multiplied by the pace it was started with."""

    delay_s: float = 10.0  # The behaviour `delay`.
    reorder_s: float = 5.0  # `reorder` waits for another event of the account, but no longer than this.
    late_s: float = 1.0  # `late` tells of the closing first and of the payment this much later.
    refund_s: float = 0.2  # A refund is pending this long.
    payout_s: float = 0.5  # A payout is pending this long.
    return_s: float = 2.0  # `payout_return` comes this long after it was paid.
    retries_s: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
    retry_later_s: float = 300.0
    give_up_s: float = 86_400.0

    def at_pace(self, pace: float) -> "Timings":
        """Return these timings with every wait multiplied by `pace` (tests run with a small one)."""
        waits = {wait.name: getattr(self, wait.name) * pace for wait in fields(self) if wait.name != "retries_s"}
        return Timings(retries_s=tuple(wait * pace for wait in self.retries_s), **waits)

    def wait_after(self, tries: int) -> float:
        """Return the seconds between the end of try number `tries` (the first is 1) and the next."""
        return self.retries_s[tries - 1] if tries <= len(self.retries_s) else self.retry_later_s


def behaviours_of(values: Mapping[str, Any]) -> frozenset[str]:
    """Read the optional field `behaviour`: a comma list (or a JSON list) of known names; 422 `invalid` otherwise."""
    value = values.get("behaviour") or ""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid("behaviour", "must be a comma list of names")
    chosen = frozenset(name.strip() for name in names if name.strip())
    known = BEHAVIOURS | PAYOUT_BEHAVIOURS
    unknown = sorted(chosen - known.keys())
    if unknown:
        raise invalid("behaviour", f"{unknown[0][:40]} is not one of {', '.join(known)}")
    return chosen


def stored(behaviours: frozenset[str]) -> str:
    """Write behaviours as the comma list a row keeps."""
    return ",".join(sorted(behaviours))


def loaded(text: str) -> frozenset[str]:
    """Read the comma list a row keeps."""
    return frozenset(text.split(",")) if text else frozenset()


def taken(amount: int, currency: str, behaviours: frozenset[str], order_id: str) -> tuple[int, str]:
    """Return (amount, currency) the wallet really takes for an order.

    A wrong amount is off by a tenth, at least by one minor unit; an amount of 1 can only be exceeded. Where neither
    `short` nor `over` is asked for, the order's id decides. Another currency is USD, or EUR for an order in USD.
    """
    if behaviours & {"wrong_amount", "short", "over"}:
        off_by = max(1, amount // 10)
        short = "short" in behaviours or ("over" not in behaviours and _draw(order_id) < 0.5)
        amount = amount - off_by if short and amount > 1 else amount + off_by
    if "wrong_currency" in behaviours:
        currency = "EUR" if currency == "USD" else "USD"
    return amount, currency


def misstated(amount: int) -> int:
    """Return what a settlement states instead of an amount: a tenth less, or 2 instead of 1."""
    return amount - max(1, amount // 10) if amount > 1 else amount + 1


def put_plan(db: sqlite3.Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a seeded plan {seed, rates: {behaviour: 0..1}} for all later orders and payouts; returns the plan."""
    seed, rates = values.get("seed"), values.get("rates")
    if isinstance(seed, bool) or not isinstance(seed, int | str) or len(str(seed)) > 100:
        raise invalid("seed", "must be a whole number or a text")
    if not isinstance(rates, dict):
        raise invalid("rates", "must be an object of behaviour names and rates")
    for name, rate in rates.items():
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if name not in BEHAVIOURS | PAYOUT_BEHAVIOURS or not number or not 0 <= rate <= 1:
            raise invalid("rates", "must name known behaviours, each with a rate from 0 to 1")
    db.execute("INSERT OR REPLACE INTO plan VALUES (1, ?, ?, 0)", (str(seed), json.dumps(rates)))
    return {"seed": seed, "rates": rates}


def end_plan(db: sqlite3.Connection) -> None:
    """End the plan; orders already made keep what they drew. 404 `no_plan` when there is none."""
    if db.execute("DELETE FROM plan").rowcount == 0:
        raise Refusal(404, "no_plan", "There is no plan.")


def planned(db: sqlite3.Connection) -> frozenset[str]:
    """Draw the next order's, or payout's, behaviours from the plan.

    The draw depends on the seed and on how many of them the plan has seen, so the same seed gives the same day again
    although ids and references are new.
    """
    row = db.execute("UPDATE plan SET drawn = drawn + 1 RETURNING seed, rates, drawn").fetchone()
    if row is None:
        return frozenset()
    rates: dict[str, float] = json.loads(row["rates"])
    return frozenset(name for name, rate in rates.items() if _draw(f"{row['seed']}:{row['drawn']}:{name}") < rate)


def _draw(text: str) -> float:
    """Return a number in [0, 1) that depends on the text only."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
