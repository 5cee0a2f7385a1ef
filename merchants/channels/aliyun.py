"""Text messages through Aliyun SMS (Dysmsapi 2017-05-25, SendSms), signed by ACS3-HMAC-SHA256.

The signature follows "V3 request structure and signature" (help.aliyun.com, SDK product overview): the parameters
stand in the query, the body is empty, and the host and every x-acs header are signed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import requests
from django.conf import settings
from django.utils import timezone

from merchants.channels.base import ChannelError

_ALGORITHM = "ACS3-HMAC-SHA256"
# Answers that waiting can change: their system is busy, or the number had its share of this minute.
_MAY_PASS = {"isp.SYSTEM_ERROR", "isv.BUSINESS_LIMIT_CONTROL", "ServiceUnavailable", "InternalError"}


class AliyunChannel:
    """Sends a code by the template settings.ALIYUN_SMS_TEMPLATE, which must have the one variable `code`.

    Aliyun takes no free text: one without a code is sent as settings.ALIYUN_SMS_NOTICE_TEMPLATE says it, without
    variables, such as "There is news about your shop's payment accounts: look into Pushcart"; one about payments as
    settings.ALIYUN_SMS_PAYMENT_TEMPLATE does, with the variables `amount` and `count`.
    """

    def send(self, *, phone: str, text: str, code: str, figures: Mapping[str, str] | None = None) -> None:
        name = "ALIYUN_SMS_PAYMENT_TEMPLATE" if figures else "ALIYUN_SMS_NOTICE_TEMPLATE"
        template = settings.ALIYUN_SMS_TEMPLATE if code else getattr(settings, name)
        if not template:
            raise ChannelError(f"aliyun: {name} is not set", permanent=True)
        query = canonical_query(
            {
                "PhoneNumbers": phone.removeprefix("+"),
                "SignName": settings.ALIYUN_SMS_SIGN_NAME,
                "TemplateCode": template,
                "TemplateParam": json.dumps(
                    {"code": code} if code else dict(figures or {}), separators=(",", ":"), ensure_ascii=False
                ),
            }
        )
        headers = signed_headers(
            host=urlsplit(settings.ALIYUN_SMS_URL).netloc,
            action="SendSms",
            version="2017-05-25",
            query=query,
            key_id=settings.ALIYUN_ACCESS_KEY_ID,
            secret=settings.ALIYUN_ACCESS_KEY_SECRET,
            nonce=secrets.token_hex(16),
            now=timezone.now(),
        )
        try:
            answer = requests.post(
                f"{settings.ALIYUN_SMS_URL}/?{query}",
                headers=headers,
                timeout=settings.OUTWARD_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as failure:
            raise ChannelError(f"aliyun: {type(failure).__name__}", permanent=False) from failure
        result = _result(answer)
        if answer.status_code != 200 or result != "OK":
            passing = answer.status_code >= 500 or result in _MAY_PASS or result.startswith("Throttling")
            raise ChannelError(f"aliyun: {answer.status_code} {result}", permanent=not passing)


def canonical_query(parameters: Mapping[str, str]) -> str:
    """The parameters sorted by name and encoded by RFC 3986: what is signed is exactly what is sent."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(parameters.items()))


def signed_headers(
    *, host: str, action: str, version: str, query: str, key_id: str, secret: str, nonce: str, now: datetime
) -> dict[str, str]:
    """The headers of a POST to `/?query` without a body, Authorization among them."""
    body_digest = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": body_digest,
        "x-acs-date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    request = f"POST\n/\n{query}\n{lines}\n{names}\n{body_digest}"
    to_sign = f"{_ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return {
        **headers,
        "Authorization": f"{_ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}",
    }


def _result(answer: requests.Response) -> str:
    try:
        return str(answer.json()["Code"])[:80]
    except (ValueError, KeyError, TypeError):
        return "without a result"
