"""Settlement files and bank statements, as operators see them: what came, what became of it, and what they bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import RegexValidator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from merchants import money
from merchants.acts import Act, ActingAdmin
from merchants.audit import UnableToAct
from merchants.desk import desk
from merchants.lists import Recorded, by_id, public_id, shown_money
from merchants.models import User
from payments import providers
from payments.models import BankAccount, ProviderAccount, Statement, StatementLine
from payments.settlement import bank_accounts, fetching, files, formats

# Whoever brings a file decides what is booked by it, and whoever enters an account says what is ours: more than the
# group of the operators may do.
BRING, ENTER = "payments.add_statement", "payments.add_bankaccount"

_COUNTED_MAX = 20_000  # Lines of a statement up to which the list counts what became of them.
_SHOWN_LINES = 50
_FORM_BYTES = 65_536  # What the form itself may take beside the file.


def _reread(rows: Sequence[Statement], *, operator: User, reason: str, now: datetime) -> str:
    changed = [
        files.reread(statement=row, now=now, operator=operator, reason=reason)
        for row in sorted(rows, key=lambda row: row.id)
    ]
    return _("Read again; lines that mean something else now: %(changed)s.") % {"changed": sum(changed)}


def _fetch_again(rows: Sequence[Statement], *, operator: User, reason: str, now: datetime) -> str:
    for row in sorted(rows, key=lambda row: row.id):
        fetching.fetch_again(statement_id=row.id, operator=operator, reason=reason, now=now)
    return _("Will be fetched in a moment: %(rows)s.") % {"rows": ", ".join(map(str, rows))}


@admin.register(Statement, site=desk)
class StatementAdmin(ActingAdmin):
    """Files of providers and banks, the newest first."""

    list_display = ["public", "source", "format", "day", "state", "line_count", "standing", "failure"]
    list_filter = ["state", "fetched", Recorded]
    list_select_related = ["provider_account", "bank_account"]
    fields = ["public", "state", "provider_account", "bank_account", "format", "day", "name", "sha256", "size",
              "line_count", "fetched", "uploaded_by", "failure", "attempts", "due_at", "created_at",
              "imported_at"]  # fmt: skip
    search_help_text = gettext_lazy("stm_…, pac_…, bnk_…, or the SHA-256 of a file")
    change_list_template = "admin/payments/statements.html"
    change_form_template = "admin/payments/statement.html"
    acts = [
        Act("reread", gettext_lazy("Read the lines again"), "payments.change_statement", _reread,
            lambda row: row.state == Statement.State.IMPORTED),
        Act("fetch-again", gettext_lazy("Fetch it again"), "payments.change_statement", _fetch_again,
            lambda row: row.fetched and row.due_at is None and row.state != Statement.State.REPLACED,
            gettext_lazy("Why is it fetched again? A file with other content replaces this one.")),
    ]  # fmt: skip

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, stm="id", pac="provider_account", bnk="bank_account")
        yield Q(sha256=term.lower())

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: Statement) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("of"))
    def source(self, row: Statement) -> str:
        return str(row.provider_account or row.bank_account)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list, with what became of the lines of all that it shows from one question."""
        shown = super().get_changelist_instance(request)
        shown.result_list = list(shown.result_list)
        told = _standings(
            row.pk
            for row in shown.result_list
            if row.state == Statement.State.IMPORTED and row.line_count <= _COUNTED_MAX
        )
        for row in shown.result_list:
            row.told = told.get(row.pk)
        return shown

    @admin.display(description=gettext_lazy("looked at / matched / open"))
    def standing(self, row: Statement) -> str:
        told: dict[str, int] | None = row.told  # type: ignore[attr-defined]  # By `get_changelist_instance`.
        if told is None:
            return "–" if row.state != Statement.State.IMPORTED else _("see its page")
        return f"{row.line_count - told['waiting']} / {told['matched']} / {told['open']}"

    def about(self, row: Statement) -> dict[str, Any]:
        lines = StatementLine.objects.filter(statement=row)
        outcomes = lines.values("kind", "outcome").annotate(count=Count("id")).order_by("kind", "outcome")
        return {
            "standing": _standings([row.pk])[row.pk],
            "outcomes": list(outcomes),
            "lines": [(line, address_of(line), amount_of(line)) for line in lines.order_by("id")[:_SHOWN_LINES]],
            "all_lines": f"{reverse('admin:payments_statementline_changelist')}?q={row}",
        }

    # --- Bringing a file ---

    def get_urls(self) -> list[URLPattern]:
        # The file is only read when it is known that the operator may bring one, and how large it is: a check of the
        # form's token in the middleware would read it before.
        bring = csrf_exempt(self.admin_site.admin_view(csrf_exempt(self.bring)))
        return [path("bring/", bring, name=f"{self._url_name}_bring"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = {"may_bring": request.user.has_perm(BRING)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def bring(self, request: HttpRequest) -> HttpResponse:
        """A file that an operator has from the provider's own desk, or from the bank."""
        if not request.user.has_perm(BRING):
            raise PermissionDenied
        told = request.META.get("CONTENT_LENGTH") or "0"
        if not told.isdigit() or int(told) > settings.STATEMENT_BYTES_MAX + _FORM_BYTES:
            return HttpResponse(_("The file is larger than any we know."), status=413, content_type="text/plain")
        return csrf_protect(self._bring)(request)

    def _bring(self, request: HttpRequest) -> HttpResponse:
        form = BringingForm(request.POST, request.FILES) if request.method == "POST" else BringingForm()
        if form.is_valid() and (taken := self._taken(request, form)) is not None:
            refused = taken.state == Statement.State.REFUSED
            told = ngettext("Taken in, with %(count)d lines.", "Taken in, with %(count)d lines.", taken.line_count)
            told = told % {"count": taken.line_count}
            if refused:
                told = _("Refused: %(failure)s") % {"failure": taken.failure}
            self.message_user(request, told, "ERROR" if refused else "SUCCESS")
            return redirect(f"admin:{self._url_name}_change", taken.pk)
        return _page(self, request, _("Bring a settlement file"), form, _("Take it in"))

    def _taken(self, request: HttpRequest, form: BringingForm) -> Statement | None:
        file: UploadedFile[Any] = form.cleaned_data["file"]
        source, name = form.cleaned_data["source"]
        try:
            return files.take_in(
                source=source,
                form=name,
                file=file.file,  # type: ignore[arg-type]  # A temporary file on disk, or its bytes in memory.
                name=file.name or "",
                day=form.cleaned_data["day"],
                fetched=False,
                uploaded_by=_operator(request),
                now=timezone.now(),
            )
        except files.Busy:
            form.add_error(None, _("Another file of this account is being taken in. Bring yours again in a minute."))
            return None


class BringingForm(forms.Form):
    """Whose file it is and of which form (one choice), of which day, and the file."""

    source = forms.CharField(widget=forms.Select)
    day = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy(
            "Of the provider's own calendar. It replaces what is there of that day. Leave it out for a bank's "
            "statement, and for a file of several days."
        ),
    )
    file = forms.FileField()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sources = _sources()
        select: Any = self.fields["source"].widget
        select.choices = [(key, label) for key, (_source, _form, label) in self._sources.items()]

    def clean_source(self) -> tuple[formats.Source, str]:
        found = self._sources.get(self.cleaned_data["source"])
        if found is None:
            raise forms.ValidationError(_("Choose one of them."), "invalid")
        return found[0], found[1]

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > settings.STATEMENT_BYTES_MAX:
            raise forms.ValidationError(_("The file is larger than any we know."), "too_large")
        return file


def _sources() -> dict[str, tuple[formats.Source, str, str]]:
    """Every account with every form of its files, under a key for the select."""
    accounts = ProviderAccount.objects.filter(provider__in=providers.MODULES).order_by("provider", "name")
    sources: list[formats.Source] = [*BankAccount.objects.filter(active=True).order_by("name"), *accounts]
    return {
        f"{source.id}/{name}": (source, name, f"{source}: {what}")
        for source in sources
        for name, what in formats.of(source).items()
    }


@admin.register(BankAccount, site=desk)
class BankAccountAdmin(ActingAdmin):
    """Our own accounts at banks."""

    list_display = ["name", "holder", "number", "bank_code", "currency", "active"]
    list_display_links = ["name"]
    fields = ["public", "name", "holder", "number", "bank_code", "currency", "active", "created_at"]
    search_help_text = gettext_lazy("bnk_…, or the account's name or number")
    change_list_template = "admin/payments/bank_accounts.html"

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: BankAccount) -> str:
        return public_id(row)

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, bnk="id")
        yield Q(name=term)
        yield Q(number="".join(term.split()).upper())

    def get_urls(self) -> list[URLPattern]:
        return [path("enter/", self.admin_site.admin_view(self.enter), name=f"{self._url_name}_enter"),
                *super().get_urls()]  # fmt: skip

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = {"may_enter": request.user.has_perm(ENTER)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def enter(self, request: HttpRequest) -> HttpResponse:
        """A new account of ours."""
        if not request.user.has_perm(ENTER):
            raise PermissionDenied
        form = BankAccountForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                account = bank_accounts.add(**form.cleaned_data, operator=_operator(request), now=timezone.now())
            except UnableToAct as refusal:
                form.add_error(None, refusal.detail)
            else:
                self.message_user(request, _("Entered: %(account)s.") % {"account": account})
                return redirect(f"admin:{self._url_name}_change", account.pk)
        return _page(self, request, _("Enter a bank account of ours"), form, _("Enter it"))


class BankAccountForm(forms.Form):
    """An account as its bank names it. IBANs are checked by their own digits."""

    name = forms.SlugField(max_length=40, help_text=gettext_lazy("by which it is called here"))
    holder = forms.CharField(max_length=140)
    number = forms.CharField(max_length=42, help_text=gettext_lazy("IBAN, or the bank's own number"))
    bank_code = forms.CharField(
        max_length=35, required=False, help_text=gettext_lazy("BIC, or the national code of the bank")
    )
    currency = forms.CharField(min_length=3, max_length=3, validators=[RegexValidator("[A-Z]{3}")])
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 2}), label=gettext_lazy("Why?"))

    def clean_number(self) -> str:
        plain = "".join(str(self.cleaned_data["number"]).split()).upper()
        if len(plain) > 34 or not plain.isascii() or not plain.replace("-", "").isalnum():
            raise forms.ValidationError(_("Letters and digits, 34 at most."), "invalid")
        if plain[:2].isalpha() and plain[2:4].isdigit() and len(plain) >= 15 and not _is_iban(plain):
            raise forms.ValidationError(_("This IBAN has a wrong digit."), "invalid")
        return plain

    def clean_currency(self) -> str:
        code = str(self.cleaned_data["currency"])
        if not money.is_currency(code):
            raise forms.ValidationError(_("Not a currency."), "invalid")
        return code


def _is_iban(plain: str) -> bool:
    """ISO 13616: turned round and with letters as numbers, it leaves 1 when divided by 97."""
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _standings(statements: Iterable[UUID]) -> dict[UUID, dict[str, int]]:
    """What became of the lines of each."""
    told: dict[UUID, dict[str, int]] = {pk: {"waiting": 0, "matched": 0, "open": 0} for pk in statements}
    counted = StatementLine.objects.filter(statement__in=told).order_by().values("statement")
    for row in counted.annotate(
        waiting=Count("id", filter=Q(look_at__isnull=False)),
        matched=Count("id", filter=Q(match__isnull=False)),
        open=Count("id", filter=Q(look_at=None, match=None) & ~Q(outcome=StatementLine.Outcome.NOTHING)),
    ):
        told[row["statement"]] = {"waiting": row["waiting"], "matched": row["matched"], "open": row["open"]}
    return told


def amount_of(line: StatementLine) -> str:
    return shown_money(line.amount, line.currency) if line.currency else "–"


def address_of(line: StatementLine) -> str:
    return reverse("admin:payments_statementline_change", args=[line.pk])


def _operator(request: HttpRequest) -> User:
    operator = request.user
    assert isinstance(operator, User)
    return operator


def _page(of: ActingAdmin, request: HttpRequest, title: str, form: forms.Form, submit: str) -> HttpResponse:
    request.current_app = of.admin_site.name
    more = {"title": title, "opts": of.opts, "form": form, "submit": submit}
    return TemplateResponse(request, "admin/desk_form.html", {**of.admin_site.each_context(request), **more})
