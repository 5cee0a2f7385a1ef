"""A statement as a page to read and print, in every script that the reader's own phone or computer has letters for.

One document with its style in it and nothing else: it loads nothing, runs nothing, and is the same opened from a file.
It exists because a PDF must carry its letters, and ours hold those of some scripts only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, get_language_bidi, pgettext
from django.utils.translation import gettext as _

from merchants import countries, ids, money
from merchants.models import Shop
from payments import statement_file
from payments.statement import Asked, Line, Summary
from payments.statement_file import Telling

CONTENT_TYPE = "text/html; charset=utf-8"

_LINES_AT_ONCE = 500  # In one piece of the answer: some 150 kB.
_STYLE = mark_safe("""
body { font: 15px/1.4 system-ui, sans-serif; color: #1d1a16; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.8rem; margin: 0; } h2 { font-size: 1.15rem; font-weight: 400; margin: 0 0 .6rem; }
p { color: #655d52; font-size: .85rem; margin: .2rem 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: 1.2rem 0; }
th { text-align: start; color: #655d52; font-size: .8rem; border-bottom: 1.5px solid #1d1a16; }
th, td { padding: .28rem .4rem; vertical-align: top; } td { border-bottom: 1px solid #ddd5c9; }
.n { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
small, .t { color: #655d52; } small, .t, .n { direction: ltr; unicode-bidi: isolate; }
small { overflow-wrap: anywhere; } .t { white-space: nowrap; }
.e td { font-weight: 600; } .c td { background: #0b6b46; color: #fff; } a { color: #0b6b46; }
thead { display: table-header-group; } tr { break-inside: avoid; }
@media (max-width: 40rem) { .t { white-space: normal; width: 5.6rem; } th, td { padding: .28rem .2rem; } }
@media print { body { margin: 0; font-size: 11px; max-width: none; } .c td { print-color-adjust: exact; } }
""")


def pieces(asked: Asked, now: datetime) -> Iterator[bytes]:
    """The document, piece by piece. One that does not end with its sums was cut off on its way."""
    telling = Telling(asked)
    yield _head(asked, now, telling).encode()
    rows = (_row(asked, line) for line in telling.lines())
    while some := list(islice(rows, _LINES_AT_ONCE)):
        yield "".join(some).encode()
    yield _foot(asked, now, telling).encode()


def _head(asked: Asked, now: datetime, telling: Telling) -> SafeString:
    return format_html(
        '<!doctype html>\n<html lang="{lang}" dir="{dir}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # The document must run nothing even where it is opened from a file, whatever a shop is called.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="referrer" content="no-referrer">'
        "<title>{heading}</title><style>{style}</style>\n"
        '<h1 dir="auto">{shop}</h1><h2>{title}</h2>'
        "<p>{about} · <bdi>{id}</bdi></p><p>{basis} {finality}</p>\n"
        '<table><thead><tr><th>{when}<th>{movement}<th class="n">{change}<th class="n">{balance}</thead>\n{opening}',
        lang=get_language(),
        dir="rtl" if get_language_bidi() else "ltr",
        heading=statement_file.heading(asked),
        shop=asked.shop.name,
        style=_STYLE,
        title=_("Statement of %(period)s") % {"period": statement_file.title(asked)},
        about=statement_file.about(asked),
        id=ids.public(Shop.prefix, asked.shop.id),
        basis=statement_file.basis(asked),
        finality=statement_file.finality(asked, now),
        when=statement_file.when(asked),
        movement=_("Movement"),
        change=pgettext("of a balance", "Change"),
        balance=_("Balance"),
        opening=_edge(asked, _("Opening balance"), asked.period.start, telling.opening.total),
    )


def _row(asked: Asked, line: Line) -> SafeString:
    reference = statement_file.reference(line)
    address = statement_file.receipt(line)
    about = [text for text in (line.description, line.reason) if text]
    return format_html(
        '<tr><td class="t">{}<td>{}{}<br><small>{}</small><td class="n">{}<td class="n">{}\n',
        _clock(asked, statement_file.moment(asked, line)),
        statement_file.words(line.kind),
        format_html_join("", " · <bdi>{}</bdi>", ((text,) for text in about)),
        format_html('<a href="{}">{}</a>', address, reference) if address else reference,
        _signed(asked, line.change),
        _amount(asked, line.balance),
    )


def _edge(asked: Asked, said: str, moment: datetime, total: int, style: str = "e") -> SafeString:
    return format_html(
        '<tr class="{}"><td class="t">{}<td>{}<td><td class="n">{}\n',
        style,
        _clock(asked, moment),
        said,
        _amount(asked, total),
    )


def _foot(asked: Asked, now: datetime, telling: Telling) -> SafeString:
    found = telling.summary()
    seal = telling.seal() if asked.final(now) else None
    return format_html(
        "{}</table>\n<table><thead><tr><th>{}<th class=n>{}<th class=n>{}</thead>\n{}{}</table>\n"
        "<p>{}</p>\n"
        "<p>{}</p>{}\n</html>\n",
        _edge(asked, _("Closing balance"), asked.until, found.closing.total, "e c"),
        _("By kind"),
        _("Count"),
        _("Together"),
        format_html_join(
            "",
            '<tr><td>{}<td class="n">{}<td class="n">{}\n',
            ((statement_file.words(each.kind), each.count, _signed(asked, each.change)) for each in found.totals),
        ),
        _turnover(asked, found),
        statement_file.parts(
            _amount(asked, found.closing.available),
            _amount(asked, found.closing.pending),
            _amount(asked, found.closing.direct),
        ),
        statement_file.counted(telling),
        format_html("<p>{}</p>", statement_file.sealed(seal)) if seal else "",
    )


def _turnover(asked: Asked, found: Summary) -> SafeString:
    return format_html(
        '<tr class="e"><td>{}<td><td class="n">{}\n<tr class="e"><td>{}<td><td class="n">{}\n',
        _("Money in"),
        _signed(asked, found.money_in),
        _("Money out"),
        _signed(asked, -found.money_out),
    )


def _amount(asked: Asked, amount: int) -> str:
    return money.digits(amount, asked.shop.currency, countries.locale(asked.shop.country))


def _signed(asked: Asked, amount: int) -> str:
    return f"+{_amount(asked, amount)}" if amount > 0 else _amount(asked, amount)


def _clock(asked: Asked, moment: datetime) -> str:
    return f"{moment.astimezone(asked.period.zone):%Y-%m-%d %H:%M:%S}"
