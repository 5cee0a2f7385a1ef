"""The addresses of the shop's book: its balance, its entries, a day's takings, and its statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any, TypeVar

from django.conf import settings
from django.http import FileResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import Cursor
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import ids, limits
from merchants.models import Staff
from merchants.refusals import Refused
from merchants.tokens import require, shop_of, staff_of
from payments import (
    boundary,
    ledger,
    replica,
    statement,
    statement_camt053,
    statement_csv,
    statement_file,
    statement_html,
    statement_pdf,
    takings,
)
from payments.book_shapes import BalanceAsked, BalanceShape, EntryShape, StatementAsked, StatementShape
from payments.models import LedgerEntry
from payments.replica import Served
from payments.statement import Asked, Basis
from payments.takings_shapes import TakingsAsked, TakingsShape

_Answer = TypeVar("_Answer", bound=StreamingHttpResponse)
ENTRY = (
    "id", "kind", "amount", "currency", "debit__kind", "credit__kind", "payment_id", "refund_id", "dispute_id",
    "occurred_at", "recorded_at",
)  # fmt: skip
_IN_MEMORY = 4_194_304  # Bytes of a PDF; more of them wait on disk.


class BalanceView(APIView):
    @extend_schema(operation_id="ledger_balance", parameters=[BalanceAsked], responses=BalanceShape)
    def get(self, request: Request) -> Response:
        """What stands in the shop's name, now, as our book stood at a moment, or as it was by what we know now."""
        asked = BalanceAsked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        at, known_at = (_moment(asked.validated_data.get(name, "")) for name in ("at", "known_at"))
        shop = shop_of(request)
        if asked.validated_data["basis"] == Basis.EFFECTIVE:
            now = timezone.now()
            found = statement.effective_balance(shop=shop, at=at or now, known_at=min(known_at or now, now))
        else:
            # As our book stood at a moment is by what it knew then: of two moments the earlier one says it.
            found = ledger.balance(shop=shop, at=min((each for each in (at, known_at) if each), default=None))
        return Response(BalanceShape(found).data)


class EntriesView(ListAPIView[LedgerEntry]):
    """The movements in the shop's book."""

    serializer_class = EntryShape
    filter_backends = []
    here: datetime | None = None

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return LedgerEntry.objects.none()
        found = LedgerEntry.objects.filter(shop=shop_of(self.request))
        if self.here is not None:
            found = found.filter(id__gte=ids.first_of(self.here))
        return found.values(*ENTRY)

    @extend_schema(operation_id="ledger_entries")
    def get(self, request: Request, *args: Any, **options: Any) -> Response:
        """Every movement, newest first; `As-Of` is the moment of which the answer tells.

        Behind the last one that is here, `next` leads to 410 `archived` when there were older ones.
        """
        with replica.choose(now=timezone.now()) as served:
            self.here = boundary.since()
            answer = self.list(request, *args, **options)
            if self.here is not None and answer.data["next"] is None:
                self._end_at(self.here, answer.data)
            return served.said(answer)

    def _end_at(self, here: datetime, page: dict[str, Any]) -> None:
        """A list that ends because older entries are in an archive says so by a page behind it, and by no empty one."""
        shop = shop_of(self.request)
        if not boundary.has_older(shop, here):
            return
        if not page["results"]:
            raise boundary.refusal(here, shop)
        last = ids.parse(LedgerEntry.prefix, page["results"][-1]["id"])
        pages: Any = self.paginator
        page["next"] = pages.encode_cursor(Cursor(offset=0, reverse=False, position=str(last)))  # type: ignore[arg-type]


class TakingsView(APIView):
    """What the shop took on one day."""

    @extend_schema(operation_id="ledger_day", parameters=[TakingsAsked], responses=TakingsShape)
    def get(self, request: Request) -> Response:
        """A day's payments and refunds, by item, wallet and seller, beside days before (owner, manager)."""
        staff = staff_of(request)
        require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
        asked = TakingsAsked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        limits.spend_on_statement(staff.shop_id.hex)
        with replica.choose(now=timezone.now()) as served:
            try:
                found = takings.of_day(
                    shop=staff.shop,
                    day=asked.validated_data["day"],
                    basis=Basis(asked.validated_data["basis"]),
                    now=served.as_of,
                )
            except statement.PeriodWrong as wrong:
                raise Refused(400, "period_wrong", str(wrong))
            return served.said(Response(TakingsShape(found, context={"currency": staff.shop.currency}).data))


class StatementView(APIView):
    """The shop's own statement, without its lines."""

    @extend_schema(operation_id="ledger_statement", parameters=[StatementAsked], responses=StatementShape)
    def get(self, request: Request) -> Response:
        """A day or a month: what stood at its beginning, what moved, and what stood at its end (owner, manager)."""
        served = replica.choose(now=timezone.now())
        asked = _asked(request, served)
        with served:
            told = StatementShape(statement.summary(asked), context={"asked": asked, "now": served.as_of}).data
        return served.said(Response(told))


class FormatInAddress(DefaultContentNegotiation):
    """The file's format stands in its address, so `Accept: text/csv` must not be refused for an error in JSON."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)


class StatementCsvView(APIView):
    """The shop's own statement as a file for spreadsheets."""

    content_negotiation_class = FormatInAddress

    @extend_schema(
        operation_id="ledger_statement_csv",
        parameters=[StatementAsked],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """The same with a line for every movement, each with its receipt; complete when it ends with the closing."""
        served = replica.choose(now=timezone.now())
        asked = _asked(request, served)
        return _file(served, asked, "csv", statement_csv.CONTENT_TYPE, statement_csv.pieces(asked))


class StatementPdfView(APIView):
    """The shop's own statement on paper."""

    content_negotiation_class = FormatInAddress

    @extend_schema(
        operation_id="ledger_statement_pdf",
        parameters=[StatementAsked],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request) -> FileResponse:
        """The same on A4 or Letter, with the shop's name in its script; refused where it would be a book of pages."""
        served = replica.choose(now=timezone.now())
        asked = _asked(request, served)
        with served:
            if statement.count(asked) > settings.STATEMENT_PDF_LINES_MAX:
                raise Refused(
                    422,
                    "statement_too_long",
                    _("A PDF holds %(statement_pdf_lines_max)s movements. Ask for single days, or for the CSV.")
                    % {"statement_pdf_lines_max": f"{settings.STATEMENT_PDF_LINES_MAX:,}"},
                )
            paper = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  The answer closes it when it is sent.
            statement_pdf.write(asked, served.as_of, paper)
        paper.seek(0)
        return _named(served, FileResponse(paper, content_type=statement_pdf.CONTENT_TYPE), asked, "pdf")


class StatementHtmlView(APIView):
    """The shop's own statement as a page to print."""

    content_negotiation_class = FormatInAddress

    @extend_schema(
        operation_id="ledger_statement_html",
        parameters=[StatementAsked],
        responses={(200, "text/html"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """The same as one document that needs nothing else, in whatever scripts the reader's phone can show."""
        served = replica.choose(now=timezone.now())
        asked = _asked(request, served)
        return _file(served, asked, "html", statement_html.CONTENT_TYPE, statement_html.pieces(asked, served.as_of))


class StatementCamt053View(APIView):
    """The shop's own statement for bookkeeping software."""

    content_negotiation_class = FormatInAddress

    @extend_schema(
        operation_id="ledger_statement_camt053",
        parameters=[StatementAsked],
        responses={(200, "application/xml"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """The same as ISO 20022 camt.053.001.08; movements that leave the total as it is are never in it."""
        served = replica.choose(now=timezone.now())
        asked = _asked(request, served)
        pieces = statement_camt053.pieces(asked, served.as_of)
        return _file(served, asked, "xml", statement_camt053.CONTENT_TYPE, pieces)


def _file(
    served: Served, asked: Asked, ending: str, content_type: str, pieces: Iterator[bytes]
) -> StreamingHttpResponse:
    return _named(served, StreamingHttpResponse(served.pieces(pieces), content_type=content_type), asked, ending)


def _named(served: Served, response: _Answer, asked: Asked, ending: str) -> _Answer:
    """What is saved under its name and kept by nobody on the way."""
    response["Content-Disposition"] = f'attachment; filename="{statement_file.name(asked, ending)}"'
    response["Cache-Control"] = "private, no-store"
    return served.said(response)


def _asked(request: Request, served: Served) -> Asked:
    """What the caller asks of the book, by what is known to whoever answers. Refuses assistants, too many questions,
    and periods that make no sense or are in an archive."""
    staff = staff_of(request)
    require(staff, Staff.Role.OWNER, Staff.Role.MANAGER)
    wanted = StatementAsked(data=request.query_params.dict())
    wanted.is_valid(raise_exception=True)
    values = wanted.validated_data
    known_at = min(_moment(values.get("at", "")) or served.as_of, served.as_of)
    try:
        named = statement.period(
            day=values.get("day", ""), month=values.get("month", ""), zone=staff.shop.time_zone, known_at=known_at
        )
    except statement.PeriodWrong as wrong:
        raise Refused(400, "period_wrong", str(wrong))
    limits.spend_on_statement(staff.shop_id.hex)
    asked = Asked(
        shop=staff.shop,
        period=named,
        basis=Basis(values["basis"]),
        everything=values["all"],
        known_at=known_at,
    )
    statement.require_here(asked)
    return asked


def _moment(text: str) -> datetime | None:
    """The moment that was named, or None for an empty text. Raises Refused: 400 `moment_wrong`."""
    if not text:
        return None
    try:
        moment = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1971 <= moment.year <= 9998:
        raise Refused(400, "moment_wrong", _("A moment is a time with its zone, for example 2026-11-22T18:00:00Z."))
    return moment
