"""What a word about a payout means for one in its state: the state it takes, and what moves. Pure.

Words come late, twice and in any order: a bank's return may be read before its debit. What a state already implies
changes nothing. One contradiction is possible: a payout that had failed left after all. It has happened, so it is
booked, below zero if need be, and a person is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from payments.models import Payout

Word = Literal["paid", "failed", "returned"]
Step = Literal["asked_again", "paid", "failed", "returned"]

_State = Payout.State


@dataclass(frozen=True, slots=True)
class Ending:
    """The state after a word, and the movements in their order; `contradicts` what was told before."""

    state: str
    steps: Sequence[Step]
    contradicts: bool = False


_ON_ITS_WAY: dict[Word, Ending] = {
    "paid": Ending(_State.PAID, ("paid",)),
    "failed": Ending(_State.FAILED, ("failed",)),
    "returned": Ending(_State.RETURNED, ("paid", "returned")),
}
_ENDINGS: dict[str, dict[Word, Ending]] = {
    _State.PREPARED: _ON_ITS_WAY,
    _State.SENT: _ON_ITS_WAY,
    # It had been paid: whether its failing is called a return or not, the money is with us again.
    _State.PAID: {
        "failed": Ending(_State.RETURNED, ("returned",)),
        "returned": Ending(_State.RETURNED, ("returned",)),
    },
    _State.FAILED: {"paid": Ending(_State.PAID, ("asked_again", "paid"), contradicts=True)},
    _State.RETURNED: {},
}


def ending(state: str, word: Word) -> Ending | None:
    """What the word changes; None when nothing."""
    return _ENDINGS[state].get(word)
