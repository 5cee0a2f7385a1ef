"""What is printed as a page of HTML, for the scripts that our fonts do not have: the phone that prints it has them.

One document with its style and its codes in it: it loads nothing, runs nothing, and is the same opened from a file.
On the screen it shows the sheets, and on paper nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from math import sqrt

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from qr import branding, labels, sheet
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
  outline: .2mm %(line)s #8d857a; width: %(width)smm; height: %(height)smm; border-radius: %(corner)smm;
  flex-direction: %(way)s; text-align: %(align)s; }
.label svg { width: %(side)smm; height: %(side)smm; } .label div { flex: 1; min-width: 0; max-height: 100%%; }
.title { font-size: %(big)smm; max-height: 2.4em; overflow: hidden; } .price { font-size: %(big)smm; }
.label p { font-size: %(small)smm; } .label p.title, .label p.price { font-size: %(big)smm; }
.label .word { color: inherit; } @media print { .label { outline-style: %(printed)s; } }
"""
_POSTER_STYLE = """
.page { display: flex; flex-direction: column; text-align: center; }
.head { background: #0b6b46; color: #fff; height: %(band)smm; display: flex; align-items: center;
  justify-content: space-evenly; gap: 4mm; padding: 4mm; }
.head img { height: %(photo)smm; width: %(photo)smm; object-fit: cover; border-radius: 4mm; }
.head .title { font-size: %(title)smm; } .head .price { font-size: %(price)smm; color: #fff; }
.say { font-size: %(say)smm; font-weight: 700; padding-top: 3mm; } .page > svg { width: %(side)smm; margin: 0 auto; }
.check { background: #f0ebe3; border-radius: 5mm; margin: 0 6%%; padding: 2mm; font-size: %(small)smm; }
.check .word { font-size: %(word)smm; } .shop { font-size: %(shop)smm; font-weight: 700; margin: auto; }
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
            '<div class="label" style="left:{}mm;top:{}mm"><svg viewBox="0 0 {} {}"><use href="#c{}"/></svg>{}</div>\n',
            (
                (_mm(x), _mm(y), *(modules_of(sticker),) * 2, numbers[sticker], _said(sticker))
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
        "title": rest * 0.1,
        "price": rest * 0.18,
        "say": rest * 0.065,
        "side": side,
        "small": rest * 0.04,
        "word": rest * 0.12,
        "shop": rest * 0.055,
    }
    style = _POSTER_STYLE % {name: _mm(size) for name, size in sizes.items()}
    body = format_html_join("", '<section class="page">{}</section>\n', ((_poster(each),) for each in made))
    first = made[0].sticker
    return _document(first.shop or first.title, (wide, high), style, body, language)


def _said(sticker: Sticker) -> SafeString:
    parts = (
        ("title", sticker.title),
        ("price", sticker.price),
        ("soft", sticker.shop),
        ("word", sticker.word),
        ("soft", sticker.caption),
    )
    lines = format_html_join("", '<p class="{}" dir="auto">{}</p>', ((kind, text) for kind, text in parts if text))
    return format_html("<div>{}</div>", lines)


def _poster(said: Poster) -> SafeString:
    sticker = said.sticker
    picture = base64.b64encode(sticker.photo).decode()
    check = format_html(
        '<div class="check"><p dir="auto">{}</p><p class="word" dir="auto">{}</p>'
        '<p class="soft" dir="auto">{}</p></div>',
        said.check,
        sticker.word,
        said.other,
    )
    return format_html(
        '<div class="head"><div><p class="title" dir="auto">{}</p><p class="price" dir="auto">{}</p></div>{}</div>'
        '<p class="say" dir="auto">{}</p><svg viewBox="0 0 {side} {side}">{}</svg>{}'
        '<p class="shop" dir="auto">{}</p>',
        sticker.title,
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
    near, wide = logo_place(sticker)
    inner = wide - 2 * branding.LOGO_PAD
    return format_html(
        '{}<path fill="#fff" d="M{n} {n}h{w}v{w}h-{w}z"/><image x="{at}" y="{at}" width="{inner}" height="{inner}" '
        'href="data:{kind};base64,{data}"/>',
        path,
        n=near,
        w=wide,
        at=near + branding.LOGO_PAD,
        inner=inner,
        kind="image/png" if sticker.logo.startswith(b"\x89PNG") else "image/jpeg",
        data=base64.b64encode(sticker.logo).decode(),
    )


def _label_style(form: Layout) -> str:
    side = sheet.code_side(form)
    room = form.height - 2 if sheet.beside(form) else (form.height - side) * 1.2
    return _LABEL_STYLE % {
        "width": _mm(form.width),
        "height": _mm(form.height),
        "corner": _mm(form.corner),
        "side": _mm(side),
        "way": "row" if sheet.beside(form) else "column",
        "align": "start" if sheet.beside(form) else "center",
        "big": _mm(min(room * 0.15, 9)),
        "small": _mm(min(max(room * 0.085, 2.3), 4)),
        "line": "dashed",
        "printed": "none" if form.cut == "die" else "dashed",
    }


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
