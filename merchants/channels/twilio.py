"""Text messages through Twilio's REST API (Programmable Messaging, `POST …/Messages.json`, version 2010-04-01)."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from django.conf import settings

from merchants.channels.base import ChannelError

_MAY_PASS = {408, 429}  # Of the 4xx answers only these can change by waiting.


class TwilioChannel:
    """Sends from settings.TWILIO_FROM: a number in E.164, or the SID (MG…) of a messaging service."""

    def send(self, *, phone: str, text: str, code: str, figures: Mapping[str, str] | None = None) -> None:
        sender = "MessagingServiceSid" if settings.TWILIO_FROM.startswith("MG") else "From"
        try:
            answer = requests.post(
                f"{settings.TWILIO_URL}/2010-04-01/Accounts/{settings.TWILIO_ACCOUNT_SID}/Messages.json",
                data={"To": phone, sender: settings.TWILIO_FROM, "Body": text},
                auth=(settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN),
                timeout=settings.OUTWARD_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as failure:
            raise ChannelError(f"twilio: {type(failure).__name__}", permanent=False) from failure
        if answer.status_code != 201:
            permanent = 400 <= answer.status_code < 500 and answer.status_code not in _MAY_PASS
            raise ChannelError(f"twilio: {answer.status_code} {_reason(answer)}", permanent=permanent)


def _reason(answer: requests.Response) -> str:
    """Twilio's error code (twilio.com/docs/api/errors); its sentence may quote the number, so it stays out."""
    try:
        return f"error {int(answer.json()['code'])}"
    except (ValueError, KeyError, TypeError):
        return "without an error code"
