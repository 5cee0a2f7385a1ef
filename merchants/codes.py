"""Codes on paper and screen: made, renamed, suspended, replaced and retired; a slug once printed means nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from merchants import ids
from merchants.models import Code, Item, Shop, Staff
from merchants.refusals import Refused

ONE_TIME_LIFE = timedelta(minutes=15)
ONE_TIME_LIFE_MAX = timedelta(days=30)
# How many replacements of replacements one scan follows; from there the next address leads on.
LEADS_MAX = 20


def create(
    *,
    shop: Shop,
    kind: str,
    item: Item | None = None,
    amount: int | None = None,
    currency: str | None = None,
    expires_at: datetime | None = None,
    label: str = "",
    staff: Staff | None = None,
    slug: str = "",
    now: datetime,
) -> Code:
    """A new code of the shop. `amount` in minor units, for kind `one_time` only, as `expires_at` is.

    `slug`: of a blank that was printed and becomes this code; otherwise a fresh one.
    Raises Refused 400: `item_missing`, `price_missing`, `field_not_allowed`, `amount_out_of_range`,
    `currency_mismatch`, `expiry_out_of_range`.
    """
    assert item is None or item.shop_id == shop.id, "an item is looked up through the shop of the caller"
    _fits(kind, item=item, amount=amount, expires_at=expires_at)
    one_time = kind == Code.Kind.ONE_TIME
    if one_time:
        expires_at = expires_at or now + ONE_TIME_LIFE
        if not now < expires_at <= now + ONE_TIME_LIFE_MAX:
            raise Refused(400, "expiry_out_of_range", _("A code can expire between now and 30 days from now."))
    with transaction.atomic():
        # The shop's row holds its currency still, and an item that is being deleted takes its codes along.
        current = Shop.objects.select_for_update(no_key=True).get(id=shop.id)
        if one_time and currency not in (None, current.currency):
            raise Refused(
                400, "currency_mismatch", _("This shop sells in %(currency)s.") % {"currency": current.currency}
            )
        if item is not None and not Item.objects.filter(id=item.id, deleted_at=None).exists():
            raise Refused(400, "item_unknown", _("There is no such item."))
        return Code.objects.create(
            id=ids.new(now),
            shop=shop,
            kind=kind,
            item=item,
            amount=amount,
            currency=current.currency if one_time else "",
            expires_at=expires_at,
            label=label.strip(),
            staff=staff,
            **({"slug": slug} if slug else {}),
        )


def change(*, code: Code, state: str | None = None, label: str | None = None, now: datetime) -> Code:
    """Renames, suspends, activates or retires.

    Raises Refused 409: `code_retired` (that is final), `code_held` (an operator suspended it, and it can be retired).
    """
    with transaction.atomic():
        current = _locked(code)
        if state is not None and state != current.state:
            _not_retired(current)
            if current.held and state == Code.State.ACTIVE:
                raise _held()
            _turn(current, state, held=False, now=now)
        if label is not None:
            current.label = label.strip()
        current.save(update_fields=["state", "held", "retired_at", "label"])
        return current


def hold(*, code: Code, now: datetime) -> Code:
    """Suspends a code as an operator does: until `release` its shop cannot activate or replace it.

    Raises Refused 409 `code_retired`.
    """
    with transaction.atomic():
        current = _locked(code)
        _not_retired(current)
        _turn(current, Code.State.SUSPENDED, held=True, now=now)
        current.save(update_fields=["state", "held", "retired_at"])
        return current


def release(*, code: Code, now: datetime) -> Code:
    """Activates a code that was suspended, by whomever. Raises Refused 409 `code_retired`."""
    with transaction.atomic():
        current = _locked(code)
        _not_retired(current)
        _turn(current, Code.State.ACTIVE, held=False, now=now)
        current.save(update_fields=["state", "held", "retired_at"])
        return current


def replace(*, code: Code, forward: bool, now: datetime) -> Code:
    """A new code in the place of this one: of the same item, label and person. The old one is retired for good.

    With `forward` whoever scans the old one is led on to the new one's page; without it she is told to ask for it.
    Raises Refused 409: `code_retired`, `code_held`, `code_not_replaceable` (it is for one payment, which may be under
    way: a second code would be a second payment).
    """
    with transaction.atomic():
        # The shop's row first, as `create` and the deleting of an item take it: no item that goes leaves a code behind.
        Shop.objects.select_for_update(no_key=True).get(id=code.shop_id)
        current = _locked(code)
        _not_retired(current)
        if current.held:
            raise _held()
        if current.kind == Code.Kind.ONE_TIME:
            raise Refused(409, "code_not_replaceable", _("A code for one payment is not replaced. Make a new one."))
        new = Code.objects.create(
            id=ids.new(now),
            shop_id=current.shop_id,
            kind=current.kind,
            item=current.item,
            label=current.label,
            staff_id=current.staff_id,
        )
        _turn(current, Code.State.RETIRED, held=False, now=now)
        current.replaced_by, current.forwards = new, forward
        current.save(update_fields=["state", "held", "retired_at", "replaced_by", "forwards"])
        return new


def leads_to(code: Code) -> Code | None:
    """Where whoever scans this code is led on to; None when it leads nowhere.

    There are no circles: only a code that is in use can be replaced, and only by one that is made at that moment.
    """
    end = code
    for _step in range(LEADS_MAX):
        if end.replaced_by_id is None or not end.forwards:
            break
        end = Code.objects.get(id=end.replaced_by_id)
    return None if end is code else end


def latest(code: Code) -> Code:
    """What stands in the place of this code today, led on to or not; the code itself where it was not replaced."""
    for _step in range(LEADS_MAX):
        if code.replaced_by_id is None:
            break
        code = Code.objects.select_related("item").get(id=code.replaced_by_id)
    return code


def retire_for(item: Item, *, now: datetime) -> int:
    """Retires every code of an item that is sold no more; answers how many. Call it in the deleting transaction."""
    live = Code.objects.filter(item=item).exclude(state=Code.State.RETIRED)
    return live.update(state=Code.State.RETIRED, held=False, retired_at=now)


def find(slug: str) -> Code | None:
    """The code of a slug, in whatever state, with its shop, item and staff: what a scan begins with."""
    return Code.objects.select_related("shop", "item", "staff").filter(slug=slug).first()


def of_shop(shop: Shop, code_id: UUID) -> Code | None:
    """The shop's own code of that id, or None: nobody else's is ever found."""
    return Code.objects.select_related("shop", "item", "staff__user").filter(shop=shop, id=code_id).first()


def price(code: Code) -> tuple[int, str] | None:
    """What the code asks for, as (minor units, currency); None when the payer says how much."""
    if code.amount is not None:
        return code.amount, code.currency
    if code.item is not None:
        return code.item.amount, code.item.currency
    return None


def _locked(code: Code) -> Code:
    return Code.objects.select_for_update(no_key=True, of=("self",)).select_related("item").get(id=code.id)


def _not_retired(code: Code) -> None:
    if code.state == Code.State.RETIRED:
        raise Refused(409, "code_retired", _("A retired code stays retired. Make a new one."))


def _held() -> Refused:
    return Refused(409, "code_held", _("We have suspended this code. Please ask us before you use it again."))


def _turn(code: Code, state: str, *, held: bool, now: datetime) -> None:
    code.state, code.held = state, held
    code.retired_at = now if state == Code.State.RETIRED else None


def _fits(kind: str, *, item: Item | None, amount: int | None, expires_at: datetime | None) -> None:
    if kind == Code.Kind.ITEM and item is None:
        raise Refused(400, "item_missing", _("A code of kind item needs an item."))
    if kind != Code.Kind.ITEM and item is not None:
        raise Refused(400, "field_not_allowed", _("A code of kind %(kind)s has no item.") % {"kind": kind})
    if kind != Code.Kind.ONE_TIME:
        if amount is not None or expires_at is not None:
            raise Refused(
                400,
                "field_not_allowed",
                _("A code of kind %(kind)s has neither a price nor an expiry.") % {"kind": kind},
            )
    elif amount is None:
        raise Refused(400, "price_missing", _("A one-time code needs a price."))
    elif not 1 <= amount <= settings.AMOUNT_MAX:
        raise Refused(400, "amount_out_of_range", _("The amount is too small or too large."))
