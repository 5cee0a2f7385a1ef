"""Finds payments of a shop as its vendor asks for them: by wallet, refunds, what wants a look, and what was typed.

Each question has an index of its own (payments/migrations/0009_payment_search.py) and is paged by its last row, so it
costs the same for the first payment of a shop and for its millionth.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from merchants import ids, money
from merchants.models import Shop
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from payments.models.paying import IRREGULAR, RECEIPT_TAIL

SEARCH_MAX = 120  # What a provider's longest reference has room for.
TAIL_MIN = 4  # Letters at the end of a receipt's number: 20 bits, as the index keeps them.

_AMONG_MAX = 1000  # More receipts than these do not end alike in any shop of ours.
_LETTERS = str.maketrans("oil", "011")  # As Crockford reads what people write.
_NUMBER = re.compile(r"(?:int_)?([0-9a-hjkmnp-tv-z]{4,26})")
_AMOUNT = re.compile(r"\d+(?:\.\d+)?")


def by_provider(rows: QuerySet[Payment], *, shop: Shop, provider: str) -> QuerySet[Payment]:
    return rows.filter(provider_account__in=_accounts(shop, provider=provider))


def wanting_a_look(rows: QuerySet[Payment], *, shop: Shop, wanting: bool) -> QuerySet[Payment]:
    """What is not as it was asked for, waits in suspense, or is contested by its payer; or all the rest."""
    contested = RawSQL(_CONTESTED, [shop.id], output_field=BooleanField())  # noqa: S611  A text of ours.
    wants = IRREGULAR | Q(contested)
    return rows.filter(wants) if wanting else rows.exclude(wants)


def by_refunds(rows: QuerySet[Payment], *, shop: Shop, refunded: str) -> QuerySet[Payment]:
    """`no`: nothing was sent back; `partly`; `whole`; `yes`: either of these. Failed refunds count for nothing."""
    each = Refund.objects.filter(payment=OuterRef("pk"), shop=shop).exclude(state=Refund.State.FAILED)
    if refunded == "no":
        return rows.exclude(Exists(each))
    found = rows.filter(Exists(each))
    if refunded == "yes":
        return found
    total = each.order_by().values("payment").annotate(total=Sum("amount")).values("total")
    summed = found.alias(went_back=Coalesce(Subquery(total), 0))
    whole = Q(went_back__gte=F("amount"))
    return summed.filter(whole) if refunded == "whole" else summed.exclude(whole)


def typed(rows: QuerySet[Payment], *, shop: Shop, text: str) -> QuerySet[Payment]:
    """The payments of the first reading of what was typed that finds any.

    Readings: a receipt's number or our id, a provider's reference, an amount, and the end of a receipt's number.
    """
    own = Payment.objects.filter(shop=shop)
    for reading in _readings(shop, text.strip()):
        if own.filter(reading).exists():
            return rows.filter(reading)
    return rows.none()


def number_in(text: str) -> str:
    """The letters of a receipt's number (or of its end) as we write them, or ""."""
    plain = "".join(text.split()).lower()
    head, letters = ("int_", plain[4:]) if plain.startswith("int_") else ("", plain)
    found = _NUMBER.fullmatch(head + letters.translate(_LETTERS))
    return found[1] if found else ""


def amount_in(text: str, currency: str) -> int | None:
    """The minor units of an amount that a person typed in any script ("2.50", "¥2,50", "٢٫٥"), or None."""
    plain = "".join(_plain(letter) for letter in unicodedata.normalize("NFKC", text))
    found = _AMOUNT.fullmatch(plain)
    try:
        return money.minor_units(found[0], currency) if found and len(found[0]) < SEARCH_MAX // 4 else None
    except ValueError:
        return None


def _plain(letter: str) -> str:
    """A digit as ASCII, a point for whatever separates decimals, nothing for a currency's sign."""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if unicodedata.category(letter) in ("Sc", "Zs", "Cf"):
        return ""
    return "." if letter in ",٫、。" else letter


def _readings(shop: Shop, text: str) -> Iterator[Q]:
    if not text or not text.isprintable():
        return
    number = number_in(text)
    for prefix, column in ((PaymentIntent.prefix, "intent"), (Payment.prefix, "id")):
        name = f"{prefix}_{number}" if column == "intent" else text.lower()
        try:
            yield Q(**{column: ids.parse(prefix, name)})
        except ValueError:
            continue
    accounts = _accounts(shop)
    yield Q(provider_account__in=accounts, object_id=text)
    back = Refund.objects.filter(shop=shop, object_id=text).values_list("payment_id", flat=True)
    yield Q(id__in=list(back[:_AMONG_MAX]))
    amount = amount_in(text, shop.currency)
    if amount is not None:
        yield Q(amount=amount, currency=shop.currency)
    if len(number) >= TAIL_MIN:
        yield Q(id__in=_ending_in(shop, number))


def _ending_in(shop: Shop, letters: str) -> list[UUID]:
    """The shop's payments whose receipt's number ends in these letters."""
    last = ids.parse(PaymentIntent.prefix, f"int_{letters[-TAIL_MIN:]:0>26}").hex[-5:]
    found = Payment.objects.filter(shop=shop).alias(tail=RECEIPT_TAIL).filter(tail=last).values_list("id", "intent_id")
    return [pk for pk, intent in found[:_AMONG_MAX] if intent and ids.public("int", intent).endswith(letters)]


def _accounts(shop: Shop, **filters: Any) -> list[UUID]:
    """The accounts by which the shop may have been paid: the platform's and its own. They are few, and read now."""
    found = ProviderAccount.objects.filter(Q(shop=None) | Q(shop=shop), **filters)
    return list(found.values_list("id", flat=True))


# An array is found by the payments' own key; a subquery beside an OR would be asked for each payment of the shop.
_CONTESTED = """"payments_payment"."id" = ANY(ARRAY(
    SELECT payment_id FROM payments_dispute WHERE shop_id = %s AND state = 'open'))"""
