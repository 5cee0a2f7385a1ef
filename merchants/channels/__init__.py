"""How text messages leave: one of three channels, chosen by settings.SMS_BACKEND."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from merchants.channels.base import Channel, ChannelError

# By their names: every process asks whether texts can leave, and one sends them.
_CHANNELS = {
    "console": "merchants.channels.console.ConsoleChannel",
    "twilio": "merchants.channels.twilio.TwilioChannel",
    "aliyun": "merchants.channels.aliyun.AliyunChannel",
}
_NEEDED = {
    "twilio": ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"),
    "aliyun": (
        "ALIYUN_ACCESS_KEY_ID",
        "ALIYUN_ACCESS_KEY_SECRET",
        "ALIYUN_SMS_SIGN_NAME",
        "ALIYUN_SMS_TEMPLATE",
        "ALIYUN_SMS_NOTICE_TEMPLATE",
    ),
}


def channel() -> Channel:
    """The channel of settings.SMS_BACKEND."""
    return cast(Channel, import_string(_CHANNELS[settings.SMS_BACKEND])())


def can_tell_payments() -> bool:
    """Whether texts about payments can leave: Aliyun needs a template of its own for them."""
    return settings.SMS_BACKEND != "aliyun" or bool(settings.ALIYUN_SMS_PAYMENT_TEMPLATE)


def complaints() -> list[str]:
    """What is wrong with the settings of the channel, in sentences; nothing when messages can leave."""
    backend = settings.SMS_BACKEND
    if backend not in _CHANNELS:
        return [f"SMS_BACKEND is {backend!r}; it must be one of {', '.join(_CHANNELS)}."]
    if backend == "console" and not settings.DEBUG:
        because = "SMS_BACKEND is console: codes would be readable by whoever reads the logs."
        return [f"{because} Choose twilio or aliyun, or set DEBUG=1 on a machine of your own."]
    return [
        f"SMS_BACKEND is {backend}, but {name} is not set."
        for name in _NEEDED.get(backend, ())
        if not getattr(settings, name)
    ]


def check(app_configs: Any = None, **_options: Any) -> list[CheckMessage]:
    """The complaints as a Django system check."""
    return [Error(complaint, id="merchants.E001") for complaint in complaints()]


__all__ = ["Channel", "ChannelError", "can_tell_payments", "channel", "check", "complaints"]
