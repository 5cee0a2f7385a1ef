"""A shop's whole story on one page: people, codes, money, providers, what it was told, what is open, what was done.

Each part is one question, or two, and a bounded list that names the way to the whole one. An operator sees the parts
whose tables she may see, and nothing is asked for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from merchants import audit
from merchants.lists import public_id, shown_money
from merchants.models import Code, CodeAlarm, Notice, OperatorAct, Shop, WalletCode
from payments import code_watch, operating, story
from payments.admin.links import link
from payments.admin.parts import ROWS, Part, at, chart, named
from payments.models import (
    Account,
    Discrepancy,
    Dispute,
    Payment,
    PaymentIntent,
    Payout,
    PayoutAccount,
    ProviderAccount,
    QueuedEvent,
    Refund,
    ReportedSale,
)


class Story:
    """The parts of one shop's page for one operator, whose permissions `may` answers."""

    def __init__(self, shop: Shop, may: Callable[[str], bool], now: datetime) -> None:
        self.shop, self.may, self.now, self.name = shop, may, now, public_id(shop)

    def parts(self) -> list[Part]:
        """What needs a look first, then the money, then everything else."""
        wanted: Sequence[tuple[str, Callable[[], Iterator[Part]]]] = (
            ("payments.view_payment", self._money),
            ("payments.view_account", self._balances),
            ("payments.view_discrepancy", self._questions),
            ("merchants.view_codealarm", self._alarms),
            ("payments.view_queuedevent", self._events),
            ("payments.view_paymentintent", self._intents),
            ("payments.view_payment", self._payments),
            ("payments.view_refund", self._refunds),
            ("payments.view_dispute", self._disputes),
            ("payments.view_payout", self._payouts),
            ("payments.view_payoutaccount", self._payout_accounts),
            ("payments.view_provideraccount", self._providers),
            ("merchants.view_staff", self._people),
            ("merchants.view_code", self._codes),
            ("merchants.view_walletcode", self._wallet_codes),
            ("payments.view_reportedsale", self._reported),
            ("merchants.view_notice", self._notices),
            ("merchants.view_operatoract", self._acts),
        )
        return [part for permission, make in wanted if self.may(permission) for part in make()]

    # --- Money ---

    def _money(self) -> Iterator[Part]:
        for of in story.money(shop=self.shop, now=self.now):
            yield Part(
                f"money-{of.currency.lower()}",
                _("Money in %(currency)s") % {"currency": of.currency},
                sums_columns(),
                sums(of),
                every=at("payments.payment", q=self.name, since=720),
                before=format_html("{}{}", _taken(of), given_back(of)),
            )

    def _balances(self) -> Iterator[Part]:
        rows = Account.objects.filter(shop=self.shop, balance__isnull=False).select_related("balance").order_by("id")
        yield self._listed(
            "balances", _("Balances"), rows, [_("Account"), _("Funds"), "#" + _("Stands at")],
            lambda row: [named(row, row.get_kind_display()), row.get_funds_display(),
                         shown_money(row.balance.credits - row.balance.debits, row.currency)],
            at("payments.account", q=self.name), _("No money yet."),
        )  # fmt: skip

    def _intents(self) -> Iterator[Part]:
        rows = PaymentIntent.objects.filter(shop=self.shop, timer__next_close_at__isnull=False).order_by("-id")
        yield self._listed(
            "intents", _("Open payments"), rows, [_("Intent"), "#" + _("Amount"), _("For"), _("Since"), _("Closing")],
            lambda row: [link(row), _money(row), row.description, row.created_at, row.closing or "–"],
            at("payments.paymentintent", q=self.name), _("Nobody is paying right now."),
        )  # fmt: skip

    def _payments(self) -> Iterator[Part]:
        rows = Payment.objects.filter(shop=self.shop).order_by("-id")
        yield self._listed(
            "payments", _("Last payments"), rows, [_("Payment"), "#" + _("Amount"), _("Match"), _("Provider's id"),
            _("Recorded")],
            lambda row: [link(row), _money(row), _matched(row),
                         row.object_id, row.recorded_at],
            at("payments.payment", q=self.name), _("None yet."),
        )  # fmt: skip

    def _refunds(self) -> Iterator[Part]:
        rows = Refund.objects.filter(shop=self.shop).select_related("payment").order_by("-id")
        yield self._listed(
            "refunds", _("Last refunds"), rows, [_("Refund"), "#" + _("Amount"), _("State"), _("Of payment"),
            _("Why"), _("Asked at")],
            lambda row: [link(row), _money(row), row.get_state_display(), link(row.payment), row.reason or "–",
            row.created_at],
            at("payments.refund", q=self.name),
        )  # fmt: skip

    def _disputes(self) -> Iterator[Part]:
        rows = Dispute.objects.filter(shop=self.shop).select_related("payment").order_by("-id")
        yield self._listed(
            "disputes", _("Last disputes"), rows, [_("Dispute"), "#" + _("Amount"), _("State"), _("Of payment"),
            _("To be answered by")],
            lambda row: [link(row), _money(row), row.get_state_display(), link(row.payment),
            row.evidence_due_at or "–"],
            at("payments.dispute", q=self.name),
        )  # fmt: skip

    def _payouts(self) -> Iterator[Part]:
        rows = Payout.objects.filter(shop=self.shop).order_by("-id")
        yield self._listed(
            "payouts", _("Last payouts"), rows, [_("Payout"), "#" + _("Amount"), _("State"), _("Failure"), _("Made")],
            lambda row: [link(row), _money(row), row.get_state_display(), row.failure or "–", row.created_at],
            at("payments.payout", q=self.name),
        )  # fmt: skip

    def _payout_accounts(self) -> Iterator[Part]:
        rows = self._payout_rows
        yield self._table(
            "payout-accounts", _("Paid out to"), rows, [_("Account"), _("State"), _("Holder"), _("Ends in"),
            _("Proved")],
            lambda row: [link(row), row.get_state_display(), row.holder, row.tail, row.verified_at or _("not yet")],
            at("payments.payoutaccount", q=self.name), _("No account yet: nothing is paid out."),
        )  # fmt: skip

    def _providers(self) -> Iterator[Part]:
        yield self._table(
            "providers", _("Its own accounts at providers"), self._provider_rows,
            [_("Account"), _("Funds"), _("In use"), _("Since")],
            lambda row: [named(row, row), row.get_funds_display(), _("yes") if row.active else _("no"), row.created_at],
            at("payments.provideraccount", q=self.name), _("None: it is paid through the platform's."),
        )  # fmt: skip

    def _reported(self) -> Iterator[Part]:
        rows = ReportedSale.objects.filter(shop=self.shop).select_related("wallet_code").order_by("-id")
        yield self._listed(
            "reported", _("Sales it noted itself: unconfirmed, in no balance"), rows,
            [_("Sale"), "#" + _("Noted"), _("By"), _("Note"), _("When")],
            lambda row: [link(row), _money(row), row.wallet_code, row.note or "–",
                         _noted(row)],
            at("payments.reportedsale", q=self.name),
        )  # fmt: skip

    # --- What is open ---

    def _questions(self) -> Iterator[Part]:
        yield self._table(
            "questions", _("Open discrepancies"), self._question_rows, [_("Discrepancy"), _("Reason"),
            "#" + _("Amount"), _("Since")],
            lambda row: [link(row), row.get_reason_display(), _money(row), row.opened_at],
            at("payments.discrepancy", q=self.name, state__exact="open"),
        )  # fmt: skip

    def _alarms(self) -> Iterator[Part]:
        rows = CodeAlarm.objects.filter(shop=self.shop).select_related("code__item").order_by("-id")
        yield self._listed(
            "alarms", _("Alarms about its codes"), rows, [_("Alarm"), _("Told"), _("Raised"), _("Ended")],
            lambda row: [link(row), code_watch.sentence(row), row.raised_at,
            row.get_ending_display() if row.ending else _("open")],
            at("merchants.codealarm", q=self.name),
        )  # fmt: skip

    def _events(self) -> Iterator[Part]:
        """What was set aside of the shop's own accounts. On the platform's, an event is no shop's until it is read."""
        found = QueuedEvent.objects.filter(state__in=operating.SET_ASIDE, event__provider_account__shop=self.shop)
        rows = found.select_related("event__provider_account").defer("event__raw").order_by("-event_id")
        yield self._listed(
            "events", _("Events set aside, of its own accounts"), rows, [_("Event"), _("State"), _("Why"),
            _("Account"), _("Received at")],
            lambda row: [named(row, public_id(row.event)), row.get_state_display(), row.reason,
            row.event.provider_account,
                         row.received_at],
            at("payments.queuedevent"),
        )  # fmt: skip

    # --- Who and what ---

    def _people(self) -> Iterator[Part]:
        rows = self.shop.staff.select_related("user").order_by("id")
        yield self._listed(
            "people", _("People"), rows, [_("Phone"), _("Name"), _("Role"), _("Since")],
            lambda row: [row.user.phone, row.user.name or "–", row.get_role_display(), row.created_at], "",
        )  # fmt: skip

    def _codes(self) -> Iterator[Part]:
        did = story.of_codes(shop=self.shop, codes=self._code_rows[:ROWS], now=self.now)

        def cells(row: Code) -> list[Any]:
            told = did[row.id]
            made = ", ".join(shown_money(amount, currency) for currency, amount in sorted(told.sums.items()))
            state = str(row.get_state_display())
            if row.held:
                state = _("%(state)s by an operator") % {"state": state}
            return [named(row, row.slug), row.get_kind_display(), row.label or row.item or "–", state, told.scans,
            told.payments,
                    made or "–"]  # fmt: skip

        columns = [
            _("Slug"), _("Kind"), _("Label or item"), _("State"), "#" + _("Scans"), "#" + _("Payments"),
            "#" + _("Came"),
        ]  # fmt: skip
        heading = _("Codes, and what they did in %(days)d days") % {"days": story.DAYS}
        yield self._table("codes", heading, self._code_rows, columns, cells, at("merchants.code", q=self.name))

    def _wallet_codes(self) -> Iterator[Part]:
        rows = WalletCode.objects.filter(shop=self.shop).order_by("-id")
        yield self._listed(
            "wallet-codes", _("Its own wallet codes: unconfirmed"), rows, [_("Code"), _("Kind"),
            _("Whose it says it is"), _("State")],
            lambda row: [link(row), row.profile, row.payee, row.get_state_display()],
            at("merchants.walletcode", q=self.name),
        )  # fmt: skip

    def _notices(self) -> Iterator[Part]:
        rows = Notice.objects.filter(shop=self.shop).order_by("-number")
        yield self._listed(
            "notices", _("What it was told"), rows, ["#" + _("Number"), _("Kind"), _("When")],
            lambda row: [named(row, row.number), row.kind, row.created_at], at("merchants.notice", q=self.name),
            _("Nothing yet."),
        )  # fmt: skip

    def _acts(self) -> Iterator[Part]:
        """What operators did to the shop, and to what of it stands on this page."""
        subjects: dict[str, list[str]] = {"shop": [self.name]}
        about: Sequence[tuple[str, Callable[[], list[Any]]]] = (
            ("merchants.view_code", lambda: self._code_rows),
            ("payments.view_provideraccount", lambda: self._provider_rows),
            ("payments.view_payoutaccount", lambda: self._payout_rows),
            ("payments.view_discrepancy", lambda: self._question_rows),
        )
        for permission, rows in about:
            for kind, name in map(audit.named, rows() if self.may(permission) else ()):
                subjects.setdefault(kind, []).append(name)
        these = Q()
        for kind, names in subjects.items():
            these |= Q(subject_type=kind, subject_id__in=names)
        yield self._listed(
            "trail", _("What operators did"),
            OperatorAct.objects.filter(these).select_related("operator").order_by("-id"),
            [_("When"), _("Who"), _("Act"), _("On"), _("Why")],
            lambda row: [named(row, date_format(row.at, "DATETIME_FORMAT")), row.operator, row.act,
                         _("the shop") if row.subject_id == self.name else f"{row.subject_type} {row.subject_id}",
                         row.reason or "–"],
            at("merchants.operatoract", q=self.name), _("Nothing."),
        )  # fmt: skip

    # --- Rows that more than one part needs, read once ---

    @cached_property
    def _code_rows(self) -> list[Any]:
        return _some(Code.objects.filter(shop=self.shop).select_related("item").order_by("-id"))

    @cached_property
    def _provider_rows(self) -> list[Any]:
        own = ProviderAccount.objects.filter(shop=self.shop).defer("sealed_credentials")
        return _some(own.order_by("-id"))

    @cached_property
    def _payout_rows(self) -> list[Any]:
        return _some(PayoutAccount.objects.filter(shop=self.shop).defer("sealed_number").order_by("-id"))

    @cached_property
    def _question_rows(self) -> list[Any]:
        return _some(Discrepancy.objects.filter(shop=self.shop, state="open").order_by("opened_at", "id"))

    def _listed(self, name: str, heading: str, rows: QuerySet[Any], *rest: Any) -> Part:
        return self._table(name, heading, _some(rows), *rest)

    def _table(
        self,
        name: str,
        heading: str,
        rows: list[Any],
        columns: list[str],
        cells: Callable[[Any], list[Any]],
        every: str,
        empty: str = "",
    ) -> Part:
        shown = [cells(row) for row in rows[:ROWS]]
        return Part(name, heading, columns, shown, empty or _("None."), every, more=len(rows) > ROWS)


def sums_columns() -> list[str]:
    """The heads of `sums`."""
    return [
        _("On the shop's own clock"), "#" + _("Payments"), "#" + _("Came"), "#" + _("Refunds"), "#" + _("Went back")
    ]  # fmt: skip


def sums(of: story.Money) -> list[list[Any]]:
    """What came and went back in one currency, today and in all of the days."""
    spans = ((_("today"), of.today), (_("last %(days)d days") % {"days": story.DAYS}, of.whole))
    return [
        [name, told.payments, shown_money(told.came, of.currency), told.refunds,
         shown_money(told.went_back, of.currency)]
        for name, told in spans
    ]  # fmt: skip


def given_back(of: story.Money) -> SafeString | str:
    """What a shop gave back on each of the days, as bars; nothing where nothing went back."""
    title = _("Given back in %(currency)s on each of the last %(days)d days: %(amount)s in all")
    heights = {day: told.went_back for day, told in of.days.items()}
    counts = {
        day: ngettext("%(count)d refund", "%(count)d refunds", told.refunds) % {"count": told.refunds}
        for day, told in of.days.items()
    }
    return _days(of, title, heights, counts)


def _taken(of: story.Money) -> SafeString | str:
    title = _("Paid in %(currency)s on each of the last %(days)d days: %(amount)s in all")
    heights = {day: told.came for day, told in of.days.items()}
    counts = {
        day: ngettext("%(count)d payment", "%(count)d payments", told.payments) % {"count": told.payments}
        for day, told in of.days.items()
    }
    return _days(of, title, heights, counts)


def _days(of: story.Money, title: str, heights: dict[date, int], counts: dict[date, str]) -> SafeString | str:
    """Bars of thirty days, each with its amount and how many made it."""
    if not any(heights.values()):
        return ""
    bars = [
        (date_format(day, "MONTH_DAY_FORMAT"), height, f"{shown_money(height, of.currency)}, {counts[day]}")
        for day, height in heights.items()
    ]
    said = {"currency": of.currency, "days": len(bars), "amount": shown_money(sum(heights.values()), of.currency)}
    return chart(title % said, bars, shown_money(max(heights.values()), of.currency))


def _some(rows: QuerySet[Any]) -> list[Any]:
    """One more than is shown, by which it is known whether there are more."""
    return list(rows[: ROWS + 1])


def _matched(row: Payment) -> str:
    match = str(row.get_match_display())
    return match if row.placed else _("%(match)s, in suspense") % {"match": match}


def _noted(row: ReportedSale) -> str:
    when = date_format(row.reported_at, "DATETIME_FORMAT")
    return _("%(when)s, withdrawn") % {"when": when} if row.withdrawn_at else when


def _money(row: Any) -> str:
    return shown_money(row.amount, row.currency)
