"""Sending the wallet's notifications: signed (Standard Webhooks), in parallel, and again until a 2xx comes back.

What is to be sent lies in the database; this module holds nothing that a restart could lose. A notification whose
answer was not yet written down when the wallet died is sent once more: at least once, never at most once.
"""

import base64
import logging
import secrets
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import requests
from standardwebhooks import Webhook

from .behaviours import Timings
from .store import Store, moment

SENDERS = 16
SENDERS_PER_ACCOUNT = 12  # One merchant that does not answer must not silence the others.
CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 10.0
LONGEST_SLEEP_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parcel:
    """One delivery that is due, with all a sender needs: nothing more is read from the database for it."""

    delivery: int
    event: int
    event_id: str
    account: str
    body: str
    notify_url: str
    secret: str
    forged: bool
    tries: int
    created_at: float


@dataclass(frozen=True)
class Outcome:
    """How one attempt went: the status that was answered, or none and an error."""

    parcel: Parcel
    at: datetime
    status: int | None
    error: str
    took_ms: int

    @property
    def accepted(self) -> bool:
        """Whether the merchant answered 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Courier:
    """A thread that hands due deliveries to a small pool of senders and writes down how they went."""

    def __init__(self, store: Store, timings: Timings) -> None:
        self._store, self._timings = store, timings
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="sender")
        self._thread = threading.Thread(target=self._run, name="courier")
        self._bell = threading.Event()
        self._stopping = False
        self._under_way: dict[int, Parcel] = {}
        self._outcomes: list[Outcome] = []
        self._local = threading.local()

    def start(self) -> None:
        """Begin with whatever an earlier run left unsent."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something new may be due."""
        self._bell.set()

    def stop(self) -> None:
        """Send nothing new, let what is under way be answered, write that down and return."""
        self._stopping = True
        self._bell.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._write_outcomes()
                sleep_s = self._dispatch(datetime.now(UTC))
            except sqlite3.Error:
                # A full disk or a locked file: everything is still in the rows, so try again in a moment.
                log.exception("the wallet's courier could not use its database")
                sleep_s = 1.0
            self._bell.wait(sleep_s)
            self._bell.clear()
        self._senders.shutdown(wait=True)
        self._write_outcomes()

    def _dispatch(self, now: datetime) -> float:
        """Hand due deliveries to free senders; returns the seconds until it is worth looking again."""
        busy = Counter(parcel.account for parcel in self._under_way.values())
        sleep_s = LONGEST_SLEEP_S
        with self._store.reading() as db:
            waiting = db.execute(
                "SELECT account, min(due_at) AS due_at FROM deliveries WHERE state = 'waiting' GROUP BY account"
            ).fetchall()
            for row in waiting:
                free = min(SENDERS_PER_ACCOUNT - busy[row["account"]], SENDERS - len(self._under_way))
                for parcel in due_parcels(db, row["account"], now, SENDERS_PER_ACCOUNT + SENDERS):
                    if free > 0 and parcel.delivery not in self._under_way:
                        free -= 1
                        self._send_soon(parcel)
                sleep_s = min(sleep_s, self._seconds_to_next(db, row["account"], now))
        return sleep_s

    def _seconds_to_next(self, db: sqlite3.Connection, account: str, now: datetime) -> float:
        # What is due already either is under way or waits for a sender: in both cases an answer rings the bell.
        later = db.execute(
            "SELECT min(due_at) FROM deliveries WHERE state = 'waiting' AND account = ? AND due_at > ?",
            (account, now.timestamp()),
        ).fetchone()[0]
        return LONGEST_SLEEP_S if later is None else max(0.0, float(later) - now.timestamp())

    def _send_soon(self, parcel: Parcel) -> None:
        self._under_way[parcel.delivery] = parcel
        self._senders.submit(self._send, parcel).add_done_callback(self._keep_outcome)

    def _send(self, parcel: Parcel) -> Outcome:
        at, begun = datetime.now(UTC), time.monotonic()
        status, error = None, ""
        try:
            with self._session().post(
                parcel.notify_url,
                data=parcel.body.encode(),
                headers=signed_headers(parcel, at),
                timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S),
                allow_redirects=False,
                stream=True,  # A merchant's answer may be endless; only its beginning is read, to keep the connection.
            ) as answer:
                status = answer.status_code
                answer.raw.read(65_536)
        except Exception as problem:  # noqa: BLE001 - whatever it was, it is an attempt that failed and is written down
            error = type(problem).__name__ if status is None else ""
        return Outcome(parcel, at, status, error, round((time.monotonic() - begun) * 1000))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # No proxy and no password file of the machine has a say here.
            session.headers["User-Agent"] = "pretend-wallet"
        return session

    def _keep_outcome(self, future: "Future[Outcome]") -> None:
        self._outcomes.append(future.result())
        self._bell.set()

    def _write_outcomes(self) -> None:
        """Write the attempts that ended meanwhile in one transaction."""
        outcomes = self._outcomes[:]
        if not outcomes:
            return
        with self._store.writing() as db:
            for outcome in outcomes:
                write_outcome(db, outcome, datetime.now(UTC), self._timings)
        del self._outcomes[: len(outcomes)]
        for outcome in outcomes:
            del self._under_way[outcome.parcel.delivery]


def due_parcels(db: sqlite3.Connection, account: str, now: datetime, limit: int) -> list[Parcel]:
    """Return an account's deliveries that are due, those that waited longest first."""
    rows = db.execute(
        "SELECT deliveries.id AS delivery, event, events.id AS event_id, deliveries.account, body, notify_url,"
        " webhook_secret AS secret, forged, tries, deliveries.created_at FROM deliveries"
        " JOIN events ON events.number = event JOIN accounts ON accounts.account = deliveries.account"
        " WHERE state = 'waiting' AND deliveries.account = ? AND due_at <= ? ORDER BY due_at, deliveries.id LIMIT ?",
        (account, now.timestamp(), limit),
    )
    return [Parcel(**{**dict(row), "forged": bool(row["forged"])}) for row in rows]


def signed_headers(parcel: Parcel, at: datetime) -> dict[str, str]:
    """Return the Standard Webhooks headers; a forged parcel is signed with a secret made up on the spot."""
    secret = base64.b64encode(secrets.token_bytes(32)).decode() if parcel.forged else parcel.secret
    return {
        "Content-Type": "application/json",
        "webhook-id": parcel.event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(parcel.event_id, at, parcel.body),
    }


def write_outcome(db: sqlite3.Connection, outcome: Outcome, now: datetime, timings: Timings) -> None:
    """Write an attempt and what follows from it: delivered, given up, or due again later."""
    parcel, tries = outcome.parcel, outcome.parcel.tries + 1
    db.execute(
        "INSERT INTO attempts (delivery, at, status, error, took_ms) VALUES (?, ?, ?, ?, ?)",
        (parcel.delivery, moment(outcome.at), outcome.status, outcome.error, outcome.took_ms),
    )
    due_at = now.timestamp() + timings.wait_after(tries)
    state = "waiting"
    if outcome.accepted:
        state = "delivered"
    elif parcel.forged or due_at > parcel.created_at + timings.give_up_s:
        state = "given_up"  # Nobody who forges notifications tries the same one for a day.
    db.execute(
        "UPDATE deliveries SET state = ?, tries = ?, due_at = ?, held = 0 WHERE id = ?",
        (state, tries, due_at, parcel.delivery),
    )
    if state == "delivered" and not parcel.forged:
        db.execute(
            "UPDATE deliveries SET held = 0, due_at = ? WHERE account = ? AND held = 1 AND event < ?",
            (now.timestamp(), parcel.account, parcel.event),
        )
