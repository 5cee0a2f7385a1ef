"""What is printed as a page of HTML, for the scripts that our fonts do not have: the phone that prints it has them.

One document with its style and its codes in it: it loads nothing, runs nothing, and is the same opened from a file.
On the screen it shows the sheets, and on paper nothing else.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Sequence
from math import sqrt

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from qr import labels, sheet
from qr.labels import LAYOUTS, Layout
from qr.paper import logo_place, module_of, modules_of, rectangles
from qr.stickers import Poster, Sticker

CONTENT_TYPE = "text/html; charset=utf-8"

_STYLE = """
* { box-sizing: border-box; margin: 0; } body { background: #ddd; color: #1d1a16; font-family: system-ui, sans-serif; }
.page { position: relative; width: %(wide)smm; height: %(high)smm; margin: 4mm auto; background: #fff; overflow: hidden;
  break-after: page; break-inside: avoid; } .page:last-child { break-after: auto; }
svg { display: block; flex: none; } p { overflow-wrap: anywhere; line-height: 1.2; } .soft { color: #5c554b; }
.price, .word { color: #0b6b46; font-weight: 700; } .title { font-weight: 700; }
@page { size: %(wide)smm %(high)smm; margin: 0; }
@media print { body { background: none; } .page { margin: 0; } * { print-color-adjust: exact; } }
"""
_LABEL_STYLE = """
.label { position: absolute; display: flex; align-items: center; gap: 1mm; padding: 1mm; overflow: hidden;
  outline: .2mm dashed #8d857a; width: %(width)smm; height: %(height)smm; border-radius: %(corner)smm;
  flex-direction: %(way)s; text-align: %(align)s; }
.label.turned { flex-direction: %(turned)s; text-align: %(far)s; }
.label svg { width: %(side)smm; height: %(side)smm; } .label div { flex: 1; min-width: 0; max-height: 100%%; }
.title { max-height: 2.4em; overflow: hidden; }
.label .word { color: inherit; } @media print { .label { outline-style: %(printed)s; } }
"""
_POSTER_STYLE = """
.page { display: flex; flex-direction: column; text-align: center; }
.head { background: #0b6b46; color: #fff; height: %(band)smm; display: flex; align-items: center;
  justify-content: space-evenly; gap: 4mm; padding: 4mm; }
.head img { height: %(photo)smm; width: %(photo)smm; object-fit: cover; border-radius: 4mm; }
.head .price { color: #fff; }
.say { font-size: %(say)smm; font-weight: 700; padding-top: 3mm; } .page > svg { width: %(side)smm; margin: 0 auto; }
.check { background: #f0ebe3; border-radius: 5mm; margin: 0 6%%; padding: 2mm; font-size: %(small)smm; }
.shop { font-size: %(shop)smm; font-weight: 700; margin: auto; }
"""


def stickers(made: Sequence[Sticker], layout: str, *, language: str, copies: int = 1, start: int = 1) -> bytes:
    """Sheets of stickers, as `sheet.pdf` places them. Raises Refused 422 `label_too_small`."""
    form = LAYOUTS[layout]
    side = sheet.code_side(form)
    for sticker in made:
        module_of(sticker, side)
    numbers = {sticker: number for number, sticker in enumerate(dict.fromkeys(made))}
    places = [None] * (start - 1) + [sticker for sticker in made for _copy in range(copies)]
    corners = list(form.places())
    pages = [
        format_html_join(
            "",
            '<div class="label{}" style="left:{}mm;top:{}mm">'
            '<svg viewBox="0 0 {} {}"><use href="#c{}"/></svg>{}</div>\n',
            (
                (_turned(sticker), _mm(x), _mm(y), *(modules_of(sticker),) * 2, numbers[sticker], _said(sticker, form))
                for (x, y), sticker in zip(corners, places[first : first + form.count], strict=False)
                if sticker is not None
            ),
        )
        for first in range(0, len(places), form.count)
    ]
    drawn = format_html_join(
        "", '<g id="c{}">{}</g>', ((number, _code(sticker)) for sticker, number in numbers.items())
    )
    body = format_html(
        '<svg width="0" height="0" style="position:absolute"><defs>{}</defs></svg>\n{}',
        drawn,
        format_html_join("", '<section class="page">\n{}</section>\n', ((page,) for page in pages)),
    )
    return _document(made[0].shop or made[0].title, labels.PAPERS[form.paper], _label_style(form), body, language)


def posters(made: Sequence[Poster], paper: str, *, language: str) -> bytes:
    """One poster on each page."""
    wide, high = labels.PAPERS[paper]
    side = sqrt(wide * high / 3)
    rest = high - side
    sizes = {
        "band": rest * 0.47,
        "photo": rest * 0.38,
        "say": rest * 0.065,
        "side": side,
        "small": rest * 0.04,
        "shop": rest * 0.055,
    }
    style = _POSTER_STYLE % {name: _mm(size) for name, size in sizes.items()}
    body = format_html_join("", '<section class="page">{}</section>\n', ((_poster(each, wide, rest),) for each in made))
    first = made[0].sticker
    return _document(first.shop or first.title, (wide, high), style, body, language)


def _turned(sticker: Sticker) -> str:
    return " turned" if sheet.reads_from_the_right(sticker.title) else ""


def _said(sticker: Sticker, form: Layout) -> SafeString:
    big, small = _type(form)
    room = form.width - (sheet.code_side(form) if sheet.beside(form) else 0) - 4
    parts = (
        ("title", sticker.title, _mm(big)),
        ("price", sticker.price, _fit(sticker.price, big * 1.1, room)),
        ("soft", sticker.shop, _mm(small)),
        ("word", sticker.word, _fit(sticker.word, small * 1.1, room)),
        ("soft", sticker.caption, _mm(small)),
    )
    line = '<p class="{}" dir="auto" style="font-size:{}mm">{}</p>'
    return format_html(
        "<div>{}</div>", format_html_join("", line, ((kind, size, text) for kind, text, size in parts if text))
    )


def _poster(said: Poster, wide: float, rest: float) -> SafeString:
    """One poster; `rest` is what the code leaves of the page's height."""
    sticker = said.sticker
    beside = wide * 0.92 - (rest * 0.38 + 8 if sticker.photo else 0)
    picture = base64.b64encode(sticker.photo).decode()
    check = format_html(
        '<div class="check"><p dir="auto">{}</p><p class="word" dir="auto" style="font-size:{}mm">{}</p>'
        '<p class="soft" dir="auto">{}</p></div>',
        said.check,
        _fit(sticker.word, rest * 0.12, wide * 0.8),
        sticker.word,
        said.other,
    )
    return format_html(
        '<div class="head"><div><p class="title" dir="auto" style="font-size:{}mm">{}</p>'
        '<p class="price" dir="auto" style="font-size:{}mm">{}</p></div>{}</div>'
        '<p class="say" dir="auto">{}</p><svg viewBox="0 0 {side} {side}">{}</svg>{}'
        '<p class="shop" dir="auto">{}</p>',
        _fit(sticker.title, rest * (0.12 if sticker.price else 0.2), beside * (1.0 if sticker.price else 1.8)),
        sticker.title,
        _fit(sticker.price, rest * 0.22, beside),
        sticker.price,
        format_html('<img alt="" src="data:image/jpeg;base64,{}">', picture) if picture else "",
        said.headline,
        _code(sticker),
        check if sticker.word else "",
        sticker.shop,
        side=modules_of(sticker),
    )


def _code(sticker: Sticker) -> SafeString:
    """The dark modules as one path, as they are drawn in a PDF, and the logo in their middle."""
    parts = (f"M{x} {y}h{wide}v{high}h-{wide}z" for x, y, wide, high in rectangles(sticker.text, bool(sticker.logo)))
    path = format_html('<path fill="{}" d="{}"/>', sticker.colour or "#000", "".join(parts))
    if not sticker.logo:
        return path
    place, wide = logo_place(sticker)
    return format_html(
        '{}<image x="{place}" y="{place}" width="{wide}" height="{wide}" href="data:{kind};base64,{data}"/>',
        path,
        place=place,
        wide=wide,
        kind="image/png" if sticker.logo.startswith(b"\x89PNG") else "image/jpeg",
        data=base64.b64encode(sticker.logo).decode(),
    )


def _label_style(form: Layout) -> str:
    beside = sheet.beside(form)
    return _LABEL_STYLE % {
        "width": _mm(form.width),
        "height": _mm(form.height),
        "corner": _mm(form.corner),
        "side": _mm(sheet.code_side(form)),
        "way": "row" if beside else "column",
        "turned": "row-reverse" if beside else "column",
        "align": "left" if beside else "center",
        "far": "right" if beside else "center",
        "printed": "none" if form.cut == "die" else "dashed",
    }


def _type(form: Layout) -> tuple[float, float]:
    """The two sizes of type on a label."""
    room = form.height - 2 if sheet.beside(form) else (form.height - sheet.code_side(form)) * 1.2
    return min(room * 0.15, 9.0), min(max(room * 0.085, 2.3), 4.0)


def _fit(text: str, size: float, room: float) -> str:
    """A size at which one line of the text fits by guess: only the phone knows how wide its letters are."""
    long = sum(1.05 if unicodedata.east_asian_width(letter) in "WF" else 0.66 for letter in text)
    return _mm(min(size, room / max(long, 1)))


def _document(title: str, size: tuple[float, float], style: str, body: SafeString, language: str) -> bytes:
    page = _STYLE % {"wide": _mm(size[0]), "high": _mm(size[1])}
    return format_html(
        '<!doctype html>\n<html lang="{}"><meta charset="utf-8">'
        # The document must run nothing even where it is opened from a file, whatever a shop is called.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:"><meta name="referrer" content="no-referrer"><title>{}</title><style>{}</style>\n{}</html>\n',
        language,
        title,
        mark_safe(page + style),  # noqa: S308  Our own style, with numbers in it.
        body,
    ).encode()


def _mm(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")
