"""What operators do to codes, each with its line in their trail: suspend, activate, retire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from merchants import audit, codes
from merchants.audit import UnableToAct
from merchants.models import Code, User


def suspend(*, code_id: UUID, operator: User, reason: str, now: datetime) -> Code:
    """Nobody pays by it until an operator activates it: its shop cannot. Raises UnableToAct `code_retired`."""
    return _do("suspend", codes.hold, code_id, operator, reason, now)


def activate(*, code_id: UUID, operator: User, reason: str, now: datetime) -> Code:
    """It takes payments again, whoever had suspended it. Raises UnableToAct `code_retired`."""
    return _do("activate", codes.release, code_id, operator, reason, now)


def retire(*, code_id: UUID, operator: User, reason: str, now: datetime) -> Code:
    """Ends it for good. Raises UnableToAct `code_retired` when that was done before."""
    return _do("retire", partial(codes.change, state=Code.State.RETIRED), code_id, operator, reason, now)


def _do(act: str, change: Callable[..., Code], code_id: UUID, operator: User, reason: str, now: datetime) -> Code:
    with transaction.atomic():
        before = Code.objects.select_for_update(no_key=True).get(id=code_id)
        if before.state == Code.State.RETIRED:
            raise UnableToAct("code_retired", _("%(before)s is retired for good.") % {"before": before})
        after = change(code=before, now=now)
        audit.record(
            operator=operator,
            act=act,
            subject=after,
            reason=reason,
            before={"state": before.state, "held": before.held},
            after={"state": after.state, "held": after.held},
            now=now,
        )
    return after
