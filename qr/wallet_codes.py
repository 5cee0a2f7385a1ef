"""The one writer of wallet codes: codes of a shop's own wallet or bank, kept as they are and `unconfirmed` for ever.

Whoever adds one decides where customers' money goes. So it wants an owner's fresh code, and every owner is told on her
phone; retiring one wants none, so that an owner who was warned can act at once. No page of ours offers such a code to a
customer: it is for paper and screens in the vendor's own hand.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from merchants import audit, ids, step_up
from merchants.audit import UnableToAct
from merchants.models import Shop, Staff, User, WalletCode
from merchants.refusals import Refused
from merchants.step_up import Confirmation
from payments import owners
from qr import payloads
from qr.payloads import wallets, web
from qr.payloads.base import Reading
from qr.symbol import LONGEST_TEXT

NOTICE = "wallet_code_change"
STATE = "unconfirmed"
SENTENCE = gettext_noop(
    "No server tells us when this code is paid. Look into your own wallet before you hand over the goods."
)
LOOKUP_SENTENCE = gettext_noop(
    "No server tells us when this code is paid. Look into your own wallet before you hand over the goods. "
    "Its network could be asked whether it was paid; we do not ask it."
)
ACTIVE_MAX = 50  # Of one shop. Whoever has more prints stickers, and those are codes of ours.

# What these say leaves open who is paid, or is a page and no payment.
_NOBODYS = {payloads.UNKNOWN, web.LINK, web.LOOK_ALIKE, wallets.WECHAT, wallets.ALIPAY}
_STATE = WalletCode.State
_TAIL = 12  # Of the account: enough to know one's own by, too little to write a message in.
_TOLD_FOR = timedelta(days=1)
_TEXTS = {
    "added": gettext_noop(
        "Pushcart: a code of an own wallet was added to %(shop)s: %(title)s of %(payee)s, ending %(tail)s (%(code)s). "
        "Who scans it pays there. Not you? Retire it at %(app)s, and change the lock of your phone."
    ),
    "retired": gettext_noop(
        "Pushcart: the own wallet code %(title)s of %(payee)s (%(code)s) was retired by %(shop)s. Take it off the cart."
    ),
    "retired_by_operator": gettext_noop(
        "Pushcart: we retired the own wallet code %(title)s of %(payee)s (%(code)s) of %(shop)s. Take it off the cart."
    ),
}


def readable(shop: Shop, text: str) -> Reading:
    """What the payload says, when the shop can keep it as a code of its own.

    Raises Refused 400: `payload_too_long`, `payload_ours`, `payload_unknown`, `payload_unsound`,
    `payload_of_a_provider`, `payload_of_one_payment`, `currency_mismatch`.
    """
    if len(text.encode()) > LONGEST_TEXT:
        raise Refused(
            400,
            "payload_too_long",
            _("A code of more than %(longest_text)s bytes is not read from paper.") % {"longest_text": LONGEST_TEXT},
        )
    reading = payloads.read(text)
    if reading.profile == web.PROFILE:
        raise Refused(400, "payload_ours", _("This is a code of Pushcart: it belongs to a shop already."))
    wrong = next((violation for violation in reading.violations if violation.fatal), None)
    if wrong is not None:
        raise Refused(
            400, "payload_unsound", _("Nobody should pay by this code: %(detail)s") % {"detail": wrong.detail}
        )
    if reading.confirmation == "provider":
        raise Refused(
            400,
            "payload_of_a_provider",
            _("The provider that made this code tells when it is paid. Enter your account there instead."),
        )
    if reading.once or reading.expires_at is not None:
        raise Refused(400, "payload_of_one_payment", _("This code was made for one payment. Use one that stays."))
    if reading.profile in _NOBODYS or not reading.account:
        raise Refused(400, "payload_unknown", _("This does not say who is paid by it."))
    if reading.currency not in ("", shop.currency):
        raise Refused(
            400,
            "currency_mismatch",
            _("This shop sells in %(currency)s, and the code asks for another.") % {"currency": shop.currency},
        )
    return reading


def add(*, staff: Staff, text: str, label: str = "", confirmation: Confirmation, now: datetime) -> WalletCode:
    """Keeps the payload as it is, uses the owner's code up, and tells every owner.

    Raises Refused: what `readable` does; 403 `step_up_invalid`; 409 `shop_<state>`, `wallet_code_known`,
    `wallet_codes_too_many`. Nothing has changed then.
    """
    with transaction.atomic():
        step_up.redeem(confirmation, purpose=step_up.Purpose.ACCOUNT, now=now)
        # The shop's row holds its currency still, and lets one in at a time.
        shop = Shop.objects.select_for_update(no_key=True).get(id=staff.shop_id)
        if shop.state != Shop.State.ACTIVE:
            raise Refused(409, f"shop_{shop.state}", _("This shop cannot add codes at the moment."))
        reading = readable(shop, text)
        payloads_of_shop = _active_payloads(shop)
        if text in payloads_of_shop:
            raise Refused(409, "wallet_code_known", _("This code is among yours already."))
        if len(payloads_of_shop) >= ACTIVE_MAX:
            raise Refused(
                409,
                "wallet_codes_too_many",
                _("A shop keeps at most %(active_max)s of these. Retire one first.") % {"active_max": ACTIVE_MAX},
            )
        code = WalletCode.objects.create(
            id=ids.new(now),
            shop=shop,
            staff=staff,
            profile=reading.profile,
            payload=text,
            payee=reading.payee[:200],
            account=reading.account[:200],
            label=label.strip(),
            created_at=now,
        )
        _tell(code, "added", now)
    return code


def rename(*, code: WalletCode, label: str) -> WalletCode:
    WalletCode.objects.filter(id=code.id).update(label=label.strip())
    code.refresh_from_db()
    return code


def retire(*, code: WalletCode, now: datetime) -> WalletCode:
    """Ends it, and tells every owner once. A retired one stays retired."""
    with transaction.atomic():
        locked = _locked(code.id)
        if locked.state == _STATE.ACTIVE:
            _end(locked, now)
            _tell(locked, "retired", now)
    return locked


def retire_by_operator(*, code_id: UUID, operator: User, reason: str, now: datetime) -> WalletCode:
    """Ends it for a reason that stands in the operators' trail. Raises UnableToAct `wallet_code_retired`."""
    with transaction.atomic():
        code = _locked(code_id)
        if code.state != _STATE.ACTIVE:
            raise UnableToAct("wallet_code_retired", _("%(code)s is retired already.") % {"code": code})
        _end(code, now)
        audit.record(
            operator=operator,
            act="retire",
            subject=code,
            reason=reason,
            before={"state": str(_STATE.ACTIVE)},
            after={"state": str(_STATE.RETIRED)},
            now=now,
        )
        _tell(code, "retired_by_operator", now)
    return code


def of(shop: Shop) -> QuerySet[WalletCode]:
    """The shop's own; nobody else's is ever found."""
    return WalletCode.objects.filter(shop=shop)


def sentence(reading: Reading) -> str:
    """What `unconfirmed` means for this code, for people."""
    return _(LOOKUP_SENTENCE) if reading.confirmation == "lookup" else _(SENTENCE)


def _active_payloads(shop: Shop) -> set[str]:
    return set(of(shop).filter(state=_STATE.ACTIVE).values_list("payload", flat=True))


def _locked(code_id: UUID) -> WalletCode:
    return WalletCode.objects.select_for_update(no_key=True, of=("self",)).select_related("shop").get(id=code_id)


def _end(code: WalletCode, now: datetime) -> None:
    code.state, code.retired_at = _STATE.RETIRED, now
    code.save(update_fields=["state", "retired_at"])


def _tell(code: WalletCode, step: str, now: datetime) -> None:
    with override(settings.LANGUAGE_CODE):  # What is kept is worded when it is read.
        title = payloads.read(code.payload).title
    public, tail = ids.public(WalletCode.prefix, code.id), "".join(code.account.split())[-_TAIL:]
    owners.tell(
        code.shop,
        kind=NOTICE,
        data={"step": step, "wallet_code": public, "title": title, "payee": code.payee, "tail": tail},
        text=_TEXTS[step],
        words=lambda: {
            "title": payloads.read(code.payload).title,
            "payee": f'"{" ".join(code.payee.split())[:40]}"',
            "tail": tail,
            "code": public,
        },
        of_use_for=_TOLD_FOR,
        now=now,
    )
