"""What the wallet does of its own accord: settle refunds and payouts, close expired orders, forget old answers."""

import logging
import sqlite3
import threading
from datetime import UTC, datetime, timedelta

from .behaviours import Timings
from .books import close_expired, settle_refunds
from .paying_out import settle_payouts
from .store import Store, moment

ROUND_S = 0.1
ANSWERS_ARE_KEPT = timedelta(days=7)

log = logging.getLogger(__name__)


class Clerk:
    """A thread that makes a round ten times a second and writes only when something is due."""

    def __init__(self, store: Store, timings: Timings) -> None:
        self._store, self._timings = store, timings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk")

    def start(self) -> None:
        """Begin the rounds."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the round under way and return."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(ROUND_S):
            try:
                make_round(self._store, datetime.now(UTC), self._timings)
            except sqlite3.Error:
                # Nothing is lost: what was due is due at the next round, too.
                log.exception("the wallet's clerk could not use its database")


def make_round(store: Store, now: datetime, timings: Timings) -> None:
    """Do what is due at `now`, in batches small enough to keep no payer waiting."""
    with store.reading() as db:
        due = db.execute(
            "SELECT EXISTS (SELECT 1 FROM refunds WHERE state = 'pending' AND due_at <= ?)"
            " OR EXISTS (SELECT 1 FROM orders WHERE state = 'open' AND expires_at <= ?)"
            " OR EXISTS (SELECT 1 FROM payouts WHERE due_at <= ?)"
            " OR EXISTS (SELECT 1 FROM kept_answers WHERE created_at < ?)",
            (now.timestamp(), moment(now), now.timestamp(), moment(now - ANSWERS_ARE_KEPT)),
        ).fetchone()[0]
    if not due:
        return
    with store.writing() as db:
        settle_refunds(db, now=now, timings=timings)
        close_expired(db, now=now, timings=timings)
        settle_payouts(db, now=now, timings=timings)
        db.execute("DELETE FROM kept_answers WHERE created_at < ?", (moment(now - ANSWERS_ARE_KEPT),))
