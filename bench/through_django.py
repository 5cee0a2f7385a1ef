"""The web process without what stands before Django: every notification takes Django's own way, for comparison."""

from __future__ import annotations

from config import web, wsgi
from merchants.in_threads import in_threads

application = in_threads(wsgi.application, threads=web.WEBHOOK_THREADS)
