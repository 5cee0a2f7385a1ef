"""The inbox as operators see it: what was set aside and why, what it means now, and *replay*.

What a provider sent is text of a stranger: it is shown as text, with everything invisible written out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import Recorded, by_id, public_id, shown_money
from merchants.models import User
from payments import facts, operating, providers, taking
from payments.admin.links import address
from payments.known import intent_id
from payments.models import (
    Delivery,
    EntryKey,
    LedgerEntry,
    Payment,
    PaymentIntent,
    ProviderAccount,
    QueuedEvent,
    WebhookEvent,
)
from payments.providers.base import Event, UnableToRead

_SHOWN_MAX = 100_000  # Characters; whoever needs more of a body than that needs the database.


class _State(admin.SimpleListFilter):
    """Why an event is not applied."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(state), str(state.label)) for state in operating.SET_ASIDE]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class _Age(admin.SimpleListFilter):
    """How long ago the event came in."""

    title = gettext_lazy("age")
    parameter_name = "older"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", _("over an hour")), ("24", _("over a day")), ("168", _("over 7 days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"1", "24", "168"}:
            return queryset
        return queryset.filter(received_at__lt=timezone.now() - timedelta(hours=int(self.value() or 0)))


class _Attempts(admin.SimpleListFilter):
    """How often it was tried."""

    title = gettext_lazy("attempts")
    parameter_name = "tried"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", _("once")), ("2", _("2 or more")), ("5", _("5 or more"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        spans = {"1": Q(attempts=1), "2": Q(attempts__gte=2), "5": Q(attempts__gte=5)}
        return queryset.filter(spans.get(self.value() or "", Q()))


def _replay(rows: Sequence[QueuedEvent], *, operator: User, reason: str, now: datetime) -> str:
    count = operating.replay(event_ids=[row.pk for row in rows], operator=operator, reason=reason, now=now)
    told = ngettext(
        "Replaying %(count)d event. What is set aside again comes back to this list.",
        "Replaying %(count)d events. What is set aside again comes back to this list.",
        count,
    )
    return told % {"count": count}


@admin.register(QueuedEvent, site=desk)
class QueuedEventAdmin(ActingAdmin):
    """Events that were set aside: parked (tried again on a schedule), quarantined (a person must look) and dead."""

    heading = gettext_lazy("Events set aside: parked, quarantined and dead")
    ordering = ["-event_id"]
    list_display = ["public", "state", "reason", "attempts", "age", "tried_again"]
    list_filter = [_State, _Age, _Attempts]
    fields = ["state", "reason", "attempts", "received_at", "tried_again", "account", "event"]
    search_help_text = gettext_lazy("evt_…, the account's name, or words of the reason")
    change_form_template = "admin/payments/event.html"
    acts = [
        Act("replay", gettext_lazy("Replay"), "payments.change_queuedevent", _replay,
            lambda row: row.state in operating.SET_ASIDE,
            gettext_lazy("Why is it replayed? It is decided again from its raw body, as if it had just arrived.")),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        aside = super().get_queryset(request).filter(state__in=operating.SET_ASIDE)
        return aside.select_related("event__provider_account").defer("event__raw")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, evt="event")
        yield Q(event__provider_account__name=term)
        yield Q(reason__icontains=term)

    def about(self, row: QueuedEvent) -> dict[str, Any]:
        return _about(row.event)

    def acted_on(self, row: QueuedEvent) -> str:
        return public_id(row.event)

    @admin.display(description=gettext_lazy("event"))
    def public(self, row: QueuedEvent) -> str:
        return public_id(row.event)

    @admin.display(description=gettext_lazy("age"))
    def age(self, row: QueuedEvent) -> str:
        return _about_a_minute(timesince(row.received_at, depth=1))

    @admin.display(description=gettext_lazy("account"))
    def account(self, row: QueuedEvent) -> str:
        return str(row.event.provider_account)

    @admin.display(description=gettext_lazy("next try"))
    def tried_again(self, row: QueuedEvent) -> str:
        if row.state != QueuedEvent.State.PARKED:
            return "–"
        return "in " + _about_a_minute(timeuntil(row.due_at, depth=1))


@admin.register(WebhookEvent, site=desk)
class WebhookEventAdmin(ActingAdmin):
    """Everything that providers sent or answered, as it came."""

    list_display = ["public", "received_at", "provider_account", "authority", "now_is"]
    list_filter = [Recorded]
    list_select_related = ["provider_account", "queued"]
    fields = ["public", "provider_account", "received_at", "delivery_id", "now_is"]
    search_help_text = gettext_lazy("evt_…, or the provider's own id of the delivery")
    change_form_template = "admin/payments/event.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("provider_account", "queued").defer("raw")

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, evt="id")
        accounts = list(ProviderAccount.objects.values_list("id", flat=True))
        told = Delivery.objects.filter(provider_account__in=accounts, delivery_id=term)
        yield Q(id__in=list(told.values_list("event_id", flat=True)))

    def about(self, row: WebhookEvent) -> dict[str, Any]:
        return _about(row)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: WebhookEvent) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("state"))
    def now_is(self, row: WebhookEvent) -> str:
        return row.queued.state if hasattr(row, "queued") else "applied"


def _about_a_minute(span: str) -> str:
    """Django's shortest span of time is "0 minutes"."""
    return _("under a minute") if span.startswith("0") else span


def visible(text: str) -> str:
    """The text with everything that cannot be seen, or that moves what can, written as an escape."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def pretty(raw: bytes) -> str:
    """JSON with indents, or nothing when the bytes are no JSON."""
    try:
        return visible(json.dumps(json.loads(raw), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return ""


def _about(event: WebhookEvent) -> dict[str, Any]:
    """The event as its page shows it: the bytes, the proof, and what they mean to the adapter of today."""
    raw = bytes(event.raw)
    meanings, unread = _means_now(event)
    return {
        "event": event,
        "verdict": _VERDICTS[event.authority],
        "headers": [(visible(str(name)), visible(str(value))) for name, value in sorted(event.headers.items())],
        "size": len(raw),
        "pretty": pretty(raw)[:_SHOWN_MAX],
        "text": visible(raw.decode("utf-8", "backslashreplace"))[:_SHOWN_MAX],
        "cut": len(raw) > _SHOWN_MAX,
        "meanings": meanings,
        "unread": unread,
    }


_VERDICTS = {
    "signed": gettext_lazy("the signature was right when it came in"),
    "mtls": gettext_lazy("our proxy had seen the provider's certificate when it came in"),
    "unsigned_hint": gettext_lazy("nobody signed it: it only made us ask"),
    "queried": gettext_lazy("an answer to our own question, over TLS"),
    "file": gettext_lazy("a line of a settlement file: fetched from the provider, or an operator agreed to it"),
}


def _means_now(event: WebhookEvent) -> tuple[list[dict[str, Any]], str]:
    """What today's adapter reads in the event, or in words why it cannot."""
    account = event.provider_account
    if account.provider not in providers.MODULES:
        return [], _("There is no adapter for “%(provider)s”.") % {"provider": account.provider}
    (_id, _account, verified) = facts.stored_events([event.id])[0]
    try:
        events = taking.read_event(account, verified)
    except UnableToRead as refusal:
        return [], visible(str(refusal))
    except Exception as failure:  # noqa: BLE001  # An adapter that falls over this event is why somebody is looking.
        return [], visible(_("The adapter itself fails: %(failure)r") % {"failure": failure})
    return [_meaning(one, event) for one in events], ""


def _meaning(one: Event, event: WebhookEvent) -> dict[str, Any]:
    paid = one.parent_object_id or one.object_id
    payment = None
    if paid.isprintable():
        payment = Payment.objects.filter(provider_account=event.provider_account_id, object_id=paid).first()
    claim = payment and EntryKey.objects.filter(key=f"paid|{payment.id.hex}").first()
    booked = claim and LedgerEntry.objects.filter(id=claim.entry_id).first()
    named = intent_id(one.reference)
    intent = PaymentIntent.objects.filter(id=named).first() if named else None
    return {
        "kind": one.kind,
        "money": visible(shown_money(one.amount, one.currency)),
        "object_id": visible(one.object_id),
        "parent_object_id": visible(one.parent_object_id),
        "reference": visible(one.reference),
        "intent": intent and address(intent),
        "occurred_at": one.occurred_at,
        "final": one.final,
        "decision": one.decision,
        "why": visible(one.reason),
        "payment": payment,
        "payment_address": payment and address(payment),
        "booked_by_this": bool(booked and booked.event_id == event.id),
        "booked_in_archive": bool(claim and booked is None),
    }
