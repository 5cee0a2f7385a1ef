"""Blank codes printed in bulk for field agents: made, voided, and bound by the vendor who scans one, exactly once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from merchants import audit, codes, ids
from merchants.audit import UnableToAct
from merchants.models import BlankCode, Code, CodeBatch, Item, Shop, Staff, User
from merchants.refusals import Refused

SIZE_MAX = 2000  # A box of stickers; whoever needs more makes another batch, and loses less with a box that is lost.


def make(*, label: str, size: int, operator: User, reason: str, now: datetime) -> CodeBatch:
    """A batch of so many blanks, numbered from 1. Raises UnableToAct `size_out_of_range`."""
    if not 1 <= size <= SIZE_MAX:
        raise UnableToAct(
            "size_out_of_range", _("A batch has from 1 to %(size_max)s codes.") % {"size_max": f"{SIZE_MAX:,}"}
        )
    with transaction.atomic():
        batch = CodeBatch.objects.create(
            id=ids.new(now), label=label.strip(), size=size, made_by=operator, created_at=now
        )
        BlankCode.objects.bulk_create(
            BlankCode(id=ids.new(now), batch=batch, number=number) for number in range(1, size + 1)
        )
        _record(batch, "make_batch", operator, reason, {}, {"label": batch.label, "size": size}, now)
    return batch


def void(*, batch_id: UUID, operator: User, reason: str, now: datetime) -> int:
    """Ends a batch: none of its blanks can be bound any more, and what was bound stays. Answers how many ended blank.

    Raises UnableToAct `batch_voided` when it was before.
    """
    with transaction.atomic():
        batch = CodeBatch.objects.select_for_update(no_key=True).get(id=batch_id)
        if batch.voided_at is not None:
            raise UnableToAct("batch_voided", _("%(batch)s is void already.") % {"batch": batch})
        batch.voided_at = now
        batch.save(update_fields=["voided_at"])
        blank = batch.blanks.filter(code=None).count()
        after = {"voided": True, "blank": blank, "bound": batch.size - blank}
        _record(batch, "void", operator, reason, {"voided": False}, after, now)
    return blank


def handed_out(*, batch: CodeBatch, form: str, operator: User, now: datetime) -> list[BlankCode]:
    """The blanks that a file of the batch (`form`: csv or pdf) holds. Who took it is recorded: it can be bound from."""
    with transaction.atomic():
        _record(batch, "download_batch", operator, "", {}, {"form": form}, now)
        return list(batch.blanks.order_by("number"))


def bind(
    *,
    slug: str,
    shop: Shop,
    by: Staff,
    kind: str,
    item: Item | None = None,
    label: str = "",
    staff: Staff | None = None,
    now: datetime,
) -> Code:
    """The blank of that slug becomes a code of the shop, by `by`, attributed to `staff`; of many who try, for one.

    Raises Refused: 404 `code_unknown`, 409 `already_bound`, 410 `batch_voided`, and what `codes.create` refuses.
    """
    with transaction.atomic():
        blank = _in_hand(slug)
        code = Code.objects.filter(slug=slug).first()
        if code is not None:
            hers = code.shop_id == shop.id
            raise Refused(
                409,
                "already_bound",
                _("This code is yours already.") if hers else _("This code belongs to a shop already."),
            )
        if blank is None:
            raise Refused(404, "code_unknown", _("This is no code of ours."))
        if blank.batch.voided_at is not None:
            raise Refused(410, "batch_voided", _("This blank code was withdrawn. Take another one."))
        code = codes.create(shop=shop, kind=kind, item=item, label=label, staff=staff, slug=slug, now=now)
        blank.code, blank.bound_by, blank.bound_at = code, by, now
        blank.save(update_fields=["code", "bound_by", "bound_at"])
        return code


def blank_of(slug: str) -> BlankCode | None:
    """The blank of that slug with its batch, as long as nobody has bound it; void or not."""
    return BlankCode.objects.select_related("batch").filter(slug=slug, code=None).first()


def with_bound(batches: QuerySet[CodeBatch]) -> QuerySet[Any]:
    """Each batch with `bound`: how many of its blanks are codes of shops by now."""
    # Counted for the rows that are shown; a join would count the blanks of every batch there is.
    blanks = BlankCode.objects.filter(batch=OuterRef("pk"), code__isnull=False).order_by().values("batch")
    return batches.annotate(bound=Coalesce(Subquery(blanks.annotate(count=Count("pk")).values("count")), 0))


def _in_hand(slug: str) -> BlankCode | None:
    """The blank, locked with its batch: nobody else binds it, and nobody voids the batch, until this is done.

    Without its code: what is joined but not locked may be older than the row that was waited for.
    """
    rows = BlankCode.objects.select_for_update(no_key=True, of=("self", "batch")).select_related("batch")
    return rows.filter(slug=slug).first()


def _record(
    batch: CodeBatch,
    act: str,
    operator: User,
    reason: str,
    before: dict[str, Any],
    after: dict[str, Any],
    now: datetime,
) -> None:
    audit.record(operator=operator, act=act, subject=batch, reason=reason, before=before, after=after, now=now)
