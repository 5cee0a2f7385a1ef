"""A fresh code for what a stolen phone or token must not do alone: sent to the caller's own phone, for one purpose.

A guess is counted before the transaction of what it is for (`confirm`), and the code is used up inside it (`redeem`): a
wrong guess counts though everything else is undone, and what is refused for another reason spends no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from merchants import one_time_codes, phones
from merchants.models import OneTimeCode, Staff, User
from merchants.refusals import Refused
from merchants.tokens import require

Purpose = OneTimeCode.Purpose

_TEXTS = {
    Purpose.REFUND: gettext_noop(
        "%(code)s confirms a refund in Pushcart. "
        "It works for %(minutes)s minutes. We never ask you for it: tell nobody."
    ),
    Purpose.ACCOUNT: gettext_noop(
        "%(code)s confirms a change of where your Pushcart sales are paid to. "
        "It works for %(minutes)s minutes. We never ask you for it: tell nobody."
    ),
    Purpose.PAYOUT: gettext_noop(
        "%(code)s confirms the bank account that Pushcart pays your money out to. "
        "It works for %(minutes)s minutes. We never ask you for it: tell nobody."
    ),
}
# Who may do what such a code confirms: nobody else has a use for one.
_ROLES = {
    Purpose.REFUND: (Staff.Role.OWNER, Staff.Role.MANAGER),
    Purpose.ACCOUNT: (Staff.Role.OWNER,),
    Purpose.PAYOUT: (Staff.Role.OWNER,),
}
PURPOSES = [str(purpose) for purpose in _TEXTS]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A right guess at a code that was not used yet; it is good for one act of its purpose."""

    code_id: UUID
    purpose: str


def send_code(*, staff: Staff, purpose: str, address: str, now: datetime) -> None:
    """Sends a code to the caller's own phone, within the budgets of signing in.

    Raises PermissionDenied `role_too_low`; Refused as `one_time_codes.send` does. Nothing is sent then.
    """
    wanted = Purpose(purpose)
    require(staff, *_ROLES[wanted])
    one_time_codes.send(
        phone=phones.mobile(staff.user.phone), purpose=wanted, text=_(_TEXTS[wanted]), address=address, now=now
    )


def confirm(*, user: User, purpose: str, code: str, now: datetime) -> Confirmation:
    """Counts the guess, and confirms a right one. Must not be called inside a transaction.

    Raises Refused: 403 `step_up_required` when no code is given, 403 `step_up_invalid` for everything that is wrong.
    """
    if not code:
        raise required(purpose)
    found = one_time_codes.matching(phone=user.phone, purpose=purpose, code=code, now=now)
    if found is None:
        raise _invalid()
    return Confirmation(found, purpose)


def redeem(confirmation: Confirmation, *, purpose: str, now: datetime) -> None:
    """Uses the code up, in the transaction of what it confirms. Raises Refused 403 `step_up_invalid`."""
    assert transaction.get_connection().in_atomic_block, "a code is used in the transaction of what it confirms"
    if confirmation.purpose != purpose or not one_time_codes.redeem(confirmation.code_id, now=now):
        raise _invalid()


def required(purpose: str) -> Refused:
    return Refused(
        403,
        "step_up_required",
        _(
            'This needs a fresh code: POST /api/v1/auth/step-up {"purpose": "%(purpose)s"} sends '
            "one to your phone. Send it as `code`."
        )
        % {"purpose": purpose},
    )


def _invalid() -> Refused:
    return Refused(403, "step_up_invalid", _("This code is not right, or it is too late for it. Ask for a new one."))
