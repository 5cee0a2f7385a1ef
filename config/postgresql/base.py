"""Django's own database backend, which besides leaves a server that writes no more: another has taken its place.

A session ends with its server, but two things do not say so by themselves. A pool keeps sessions that are dead, each
of which would cost a request. And a server may go on without writing (one that was fenced off, or that a proxy has put
in the primary's place): its refusal is no fault of whoever asked, so it is trouble of ours, after which is tried again.
"""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg.pq import ConnStatus


class DatabaseWrapper(base.DatabaseWrapper):
    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _Errors(self)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A session that is alive, as far as can be seen without asking the server; of the primary, one that writes."""
        connection = super().get_new_connection(conn_params)
        while (self.pool and not _alive(connection)) or self._writes_no_more(connection):
            self._drop(connection)
            connection = super().get_new_connection(conn_params)
        return connection

    def is_usable(self) -> bool:
        if super().is_usable() and not self._writes_no_more(self.connection):
            return True
        self.leave()
        return False

    def leave(self) -> None:
        """Ends our session with the server, so that no pool hands it out again."""
        if self.connection is not None:
            self.connection.close()

    def _writes_no_more(self, connection: Any) -> bool:
        """Whether the server has said so: it reports both settings with its answers, whenever they change."""
        told = connection.pgconn.parameter_status
        return self.alias == "default" and b"on" in (
            told(b"in_hot_standby"),
            told(b"default_transaction_read_only"),
        )

    def _drop(self, connection: Any) -> None:
        connection.close()
        if self.pool:
            self.pool.putconn(connection)
        else:
            raise OperationalError("the database that was reached does not write")


class _Errors(DatabaseErrorWrapper):
    """As Django's, but a server's refusal to write is an OperationalError, and ends the session with it."""

    wrapper: DatabaseWrapper

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is not None and issubclass(exc_type, psycopg.errors.ReadOnlySqlTransaction):
            self.wrapper.errors_occurred = True
            if self.wrapper.alias == "default":
                self.wrapper.leave()
            raise OperationalError(*exc_value.args).with_traceback(traceback) from exc_value
        super().__exit__(exc_type, exc_value, traceback)


def _alive(connection: Any) -> bool:
    """An idle session has nothing to say; what is there to read is its end, or a word before it."""
    try:
        if not _readable(connection.fileno()):
            return True
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return bool(connection.pgconn.status == ConnStatus.OK and not _readable(connection.fileno()))


def _readable(descriptor: int) -> bool:
    looked = select.poll()
    looked.register(descriptor, select.POLLIN)
    return bool(looked.poll(0))
