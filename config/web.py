"""The web program: what each of granian's worker processes serves, and the figures on the internal port beside it.

One loop hears every request. It takes proved notifications itself (`payments.front_door`); whatever else comes is
Django's, in threads. Granian listens on one address. The internal port is a listener of Python's own in a thread of the
same process: it serves Django to whoever watches us, a few requests a minute.
"""

from __future__ import annotations

import gc
import socket
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.conf import settings

from config import wsgi
from merchants.in_threads import Application, in_threads
from payments import front_door

# For notifications that Django must judge. Most of them need no connection of Django's (`payments.group_commit`), and
# the more are there together the less each costs.
WEBHOOK_THREADS = 32
_PATIENCE_S = 10.0  # Who watches us sends a few lines at once.


def application() -> Application:
    """Called once in each worker process; `granian --factory` serves what it returns."""
    if settings.INTERNAL_PORT:
        Thread(target=_Internal().serve_forever, name="internal port", daemon=True).start()
    gc.collect()
    gc.freeze()  # What was loaded stays: no later collection has to walk through it.
    webhooks = in_threads(wsgi.application, threads=WEBHOOK_THREADS)
    return front_door.before(pages=in_threads(wsgi.application), webhooks=webhooks)


class _Watchers(WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, *_: Any) -> None:
        """Nobody wants to read that the figures were read."""


class _Internal(ThreadingMixIn, WSGIServer):
    """Every worker process listens here, and the kernel chooses: their counters are added up whoever is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((settings.INTERNAL_HOST, settings.INTERNAL_PORT), _Watchers)
        self.set_app(wsgi.application)

    def server_bind(self) -> None:
        """As its parents do, but without asking the network for our name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = str(settings.INTERNAL_HOST), settings.INTERNAL_PORT
        self.setup_environ()
