"""What a notice says in words, in its reader's language: rows keep what happened, and are worded when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from merchants import user_agents

# What a row keeps in English, as it stands in the catalogues. What somebody else has said (a bank) stays as it is.
_IN_ENGLISH = ("title", "failure")
_ALARM = "code_alarm"
_DEVICE = "device_signed_in"
_ALARMS = {
    "silent": gettext_noop(
        "Nobody has paid by “%(code)s” while %(count)s others paid you. Is another sticker over it?"
    ),
    "unpaid_scans": gettext_noop(
        "“%(code)s” was opened %(count)s times, and nobody paid. Is something stuck on it or beside it?"
    ),
}


def worded(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The notice's data, its words in the language of now."""
    said = dict(data)
    for name in _IN_ENGLISH:
        if said.get(name):
            said[name] = _(said[name])
    if kind == _ALARM and "count" in said:
        said["sentence"] = alarm(said["kind"], said["label"], said.pop("count"))
        said["label"] = called(said["label"])
    if kind == _DEVICE:
        said["name"] = user_agents.named(said["browser"], said["system"])
    return said


def alarm(kind: str, label: str, count: int) -> str:
    """What a shop is told of a code that behaves strangely, in one sentence."""
    return _(_ALARMS[kind]) % {"code": called(label), "count": count}


def called(label: str) -> str:
    """The name by which the vendor knows a code."""
    return label or _("the code for any amount")
