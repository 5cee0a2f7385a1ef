"""The wallet's database file: one SQLite file that one process holds, written durably and by one writer at a time.

Every commit is synced to disk (write-ahead log, `synchronous=FULL`): a wallet that has answered "paid" still knows it
after its power was cut. Writers queue on a lock in this process, because SQLite's own waiting is a sleep and a retry.
"""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, LifoQueue
from threading import Lock

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    account TEXT PRIMARY KEY, api_key_hash TEXT NOT NULL UNIQUE, webhook_secret TEXT NOT NULL,
    notify_url TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS terms (
    account TEXT PRIMARY KEY REFERENCES accounts, fee_ppm INTEGER NOT NULL CHECK (fee_ppm BETWEEN 0 AND 1000000),
    bank_account TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS plan (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1), seed TEXT NOT NULL, rates TEXT NOT NULL, drawn INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, reference TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, description TEXT NOT NULL,
    return_url TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('open', 'paid', 'refused', 'closed')),
    behaviours TEXT NOT NULL, expires_at TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE (account, reference)
) STRICT;
CREATE INDEX IF NOT EXISTS orders_expiring ON orders (expires_at) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS orders_by_reference ON orders (reference);
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, order_id TEXT NOT NULL REFERENCES orders, reference TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, refunds_fail INTEGER NOT NULL,
    occurred_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS payments_of_order ON payments (order_id);
CREATE INDEX IF NOT EXISTS payments_by_time ON payments (account, occurred_at);
CREATE TABLE IF NOT EXISTS refunds (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, payment_id TEXT NOT NULL REFERENCES payments,
    order_id TEXT NOT NULL REFERENCES orders, reference TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed')),
    due_at REAL NOT NULL, created_at TEXT NOT NULL, occurred_at TEXT, UNIQUE (account, reference)
) STRICT;
CREATE INDEX IF NOT EXISTS refunds_of_payment ON refunds (payment_id);
CREATE INDEX IF NOT EXISTS refunds_of_order ON refunds (order_id);
CREATE INDEX IF NOT EXISTS refunds_pending ON refunds (due_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS refunds_by_time ON refunds (account, occurred_at) WHERE state = 'succeeded';
CREATE TABLE IF NOT EXISTS totals (
    account TEXT NOT NULL, currency TEXT NOT NULL, received INTEGER NOT NULL, refunded INTEGER NOT NULL,
    CHECK (refunded BETWEEN 0 AND received), PRIMARY KEY (account, currency)
) STRICT;
CREATE TABLE IF NOT EXISTS payouts (
    id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, reference TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, account_number TEXT NOT NULL,
    bank_code TEXT NOT NULL, holder TEXT NOT NULL, behaviours TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'paid', 'failed', 'returned')), failure TEXT NOT NULL,
    due_at REAL, created_at TEXT NOT NULL, settled_at TEXT, UNIQUE (account, reference)
) STRICT;
CREATE INDEX IF NOT EXISTS payouts_due ON payouts (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS payees (account_number TEXT PRIMARY KEY, holder TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS kept_answers (
    account TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    created_at TEXT NOT NULL, PRIMARY KEY (account, key)
) STRICT;
CREATE INDEX IF NOT EXISTS kept_answers_by_age ON kept_answers (created_at);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, reference TEXT NOT NULL,
    type TEXT NOT NULL, body TEXT NOT NULL, occurred_at TEXT NOT NULL, lost INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_of_account ON events (account, number);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES events, account TEXT NOT NULL,
    forged INTEGER NOT NULL, held INTEGER NOT NULL, created_at REAL NOT NULL, due_at REAL NOT NULL,
    tries INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'given_up'))
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (account, due_at) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS deliveries_held ON deliveries (account, event) WHERE held = 1;
CREATE INDEX IF NOT EXISTS deliveries_of_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL REFERENCES deliveries, at TEXT NOT NULL, status INTEGER,
    error TEXT NOT NULL, took_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS attempts_of_delivery ON attempts (delivery);
"""


class DatabaseInUse(Exception):
    """Another wallet process holds this database file."""


class Store:
    """Connections to the wallet's database file: any number of readers, one writer."""

    def __init__(self, path: Path) -> None:
        """Open (or make, readable by its owner only) the file at `path`; `DatabaseInUse` when another wallet has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._claim = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._claim)
            raise DatabaseInUse(f"{path} is in use by another wallet") from None
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._idle_readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._writer = self._connect()
        self._writer.executescript(SCHEMA)
        self._one_writer = Lock()
        self.after_commit: Callable[[], None] = lambda: None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection whose reads all see one moment; nobody else uses it meanwhile."""
        try:
            connection = self._idle_readers.get_nowait()
        except Empty:
            connection = self._connect()
            connection.execute("PRAGMA query_only=1")
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.rollback()
            self._idle_readers.put(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the writer inside one transaction: committed to disk at the end, rolled back on any exception."""
        with self._one_writer:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.rollback()
                raise
            self._writer.commit()
        self.after_commit()

    def close(self) -> None:
        """Close every idle connection and let another process have the file."""
        with self._one_writer:
            while not self._idle_readers.empty():
                self._idle_readers.get_nowait().close()
            self._writer.close()
        os.close(self._claim)

    def _connect(self) -> sqlite3.Connection:
        # Connections go from thread to thread, never to two at once: the queue and the lock above see to that.
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection


def moment(at: datetime) -> str:
    """Write an aware datetime as RFC 3339 in UTC with microseconds: of one width, so that text sorts as time does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id(prefix: str, now: datetime) -> str:
    """Make an id such as `wor_…`: sorted by its microsecond, then 80 random bits that nobody can guess."""
    return f"{prefix}_{int(now.timestamp() * 1_000_000):014x}{secrets.token_hex(10)}"
