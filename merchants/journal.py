"""What the processes say: one JSON object a line, with secrets and phone numbers masked."""

from __future__ import annotations

import logging
import re
from typing import Any

import structlog

_SECRET_FIELDS = {"code", "token", "authorization", "password", "api_key", "webhook_secret", "secret", "body"}
_PHONE = re.compile(r"\+\d{6,15}")


def mask(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Secrets by the name of their field, phone numbers by their look: a log is read by more people than a database."""
    for field, value in event.items():
        if field in _SECRET_FIELDS and not isinstance(value, int):  # An HTTP status is called `code`, too.
            event[field] = "***"
        elif isinstance(value, str):
            told = value.partition("?")[0] if field == "request" else value  # A query may carry a wallet's grant.
            event[field] = _PHONE.sub(lambda phone: f"{phone[0][:4]}…{phone[0][-2:]}", told)
    return event


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    mask,
]

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)


def json_formatter() -> logging.Formatter:
    """The formatter of settings.LOGGING, for our lines and for the libraries' alike."""
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=_SHARED,
    )


def journal(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
