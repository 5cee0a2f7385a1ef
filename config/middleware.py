"""The middlewares of Django and its libraries that settings.MIDDLEWARE names, without the work that no answer needs.

Each is the library's own, under its own name, and says of which requests it knows at once that they need nothing of it
or always the same. What it does for all others stands in the library.
"""

from __future__ import annotations

import logging
import uuid
from functools import cache
from typing import Any

import django_otp.middleware
import structlog
from csp.constants import HEADER, HEADER_REPORT_ONLY
from csp.middleware import CSPMiddleware as _CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware as _AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware as _MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware as _SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django_structlog.app_settings import app_settings
from django_structlog.middlewares import RequestMiddleware as _RequestMiddleware

DESK = "/admin/"  # Below it operators work, who alone have sessions: anybody else shows a token, or nothing.

_lines = logging.getLogger("django_structlog.middlewares.request")


class _AtTheDesk:
    """Hands a request on at once unless it is for the desk: elsewhere a session's cookie means nothing."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(DESK):
            return super().__call__(request)  # type: ignore[misc]  # The library's, which every subclass names next.
        return self.get_response(request)


class SessionMiddleware(_AtTheDesk, _SessionMiddleware):
    """`request.session`, at the desk."""


class AuthenticationMiddleware(_AtTheDesk, _AuthenticationMiddleware):
    """`request.user`, at the desk."""


class OTPMiddleware(_AtTheDesk, django_otp.middleware.OTPMiddleware):  # type: ignore[misc]  # It has no types.
    """Whether that user has shown her second factor, at the desk."""


class MessageMiddleware(_AtTheDesk, _MessageMiddleware):
    """What the next page says of what was done, at the desk."""


class RequestMiddleware(_RequestMiddleware):
    """A name for each request, in every line that is said during it; and its own lines, if settings.LOGGING wants them.

    By default that is what went wrong. What nobody will read is not made: who asked, what for, and with what.
    """

    def prepare(self, request: HttpRequest) -> None:
        if _lines.isEnabledFor(app_settings.STATUS_START_LOG_LEVEL):
            super().prepare(request)
        else:
            structlog.contextvars.bind_contextvars(request_id=str(uuid.uuid4()))

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        said = _lines.isEnabledFor(self._log_level_for_status_code(response.status_code))
        if said or response.streaming or hasattr(request, "_raised_exception"):
            super().handle_response(request, response)
        else:
            structlog.contextvars.clear_contextvars()


class CSPMiddleware(_CSPMiddleware):
    """The policy of settings, which is put into words once; a view that wants another one for its answer gets it."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        own = "_csp_nonce" in vars(request) or not _OWN.isdisjoint(vars(response))
        if own or settings.DEBUG:  # Django's own pages about our mistakes have a style of their own.
            return super().process_response(request, response)
        for header, policy in _policies():
            response.headers.setdefault(header, policy)
        return response


# What the library's decorators write on an answer whose view wants another policy, or none.
_OWN = {f"_csp_{what}{mode}" for what in ("config", "update", "replace", "exempt") for mode in ("", "_ro")}


@cache
def _policies() -> list[tuple[str, str]]:
    both = [(HEADER, build_policy()), (HEADER_REPORT_ONLY, build_policy(report_only=True))]
    return [(header, policy) for header, policy in both if policy]
