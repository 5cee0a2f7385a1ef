"""The one writer of the operators' trail: whatever an act changes, its row is in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models, transaction

from merchants import ids
from merchants.models import OperatorAct, User


class UnableToAct(Exception):
    """An operator's act that is not possible now: `code` for programs, `detail` for people. Nothing has changed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def record(
    *,
    operator: User,
    act: str,
    subject: models.Model,
    reason: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
) -> OperatorAct:
    """Writes who did what to `subject`, why, and what it changed (`before` and `after`: plain values for JSON)."""
    assert transaction.get_connection().in_atomic_block, "an act is recorded in the transaction of its change"
    kind, name = named(subject)
    return OperatorAct.objects.create(
        id=ids.new(now),
        operator=operator,
        act=act,
        subject_type=kind,
        subject_id=name,
        reason=reason,
        before=dict(before),
        after=dict(after),
        at=now,
    )


def trail(subject: models.Model) -> models.QuerySet[OperatorAct]:
    """What operators did to this object, newest first."""
    kind, name = named(subject)
    return OperatorAct.objects.filter(subject_type=kind, subject_id=name).select_related("operator").order_by("-id")


def named(subject: models.Model) -> tuple[str, str]:
    """What an act calls its subject: the table's name, and the public id where it has one."""
    prefix = getattr(subject, "prefix", "")
    name = ids.public(prefix, subject.pk) if prefix else str(subject.pk)
    return subject._meta.model_name or "", name
