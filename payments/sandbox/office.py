"""What every request to the wallet needs beside itself: the database, the waits, the address and the control key."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import books
from .behaviours import Timings
from .store import Store


@dataclass(frozen=True)
class Office:
    """The parts of a running wallet. `public_url` is where payers reach it, without a slash at its end."""

    store: Store
    timings: Timings
    public_url: str
    control_key: str

    def order_shape(self, db: sqlite3.Connection, order: sqlite3.Row, now: datetime) -> dict[str, Any]:
        """Return an order as the API shows it, with the address at which it is paid."""
        return books.order_shape(db, order, pay_url_base=self.public_url, now=now)
