"""What pages of the desk are made of: a table with its heading and the way to all of it, and a chart drawn as SVG.

Both are drawn by the server and need no script. A chart says in words what its bars say; a table stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from payments.admin.links import address

ROWS = 20  # Of each kind on a page; all of them are one click away.

_WIDTH, _HEIGHT, _FOOT, _HEAD = 480, 96, 16, 14


@dataclass(frozen=True, slots=True)
class Part:
    """A table: `columns` that begin with # are numbers; `every` is where all rows are, `more` says that there are more.

    Without rows `empty` stands in their place, or that there are none. `before` is shown above the table.
    """

    id: str
    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str = ""
    every: str = ""
    more: bool = False
    before: SafeString | str = ""

    @property
    def heads(self) -> list[tuple[str, bool]]:
        return [(name.removeprefix("#"), name.startswith("#")) for name in self.columns]

    @property
    def lines(self) -> list[list[tuple[Any, bool]]]:
        numbers = [name.startswith("#") for name in self.columns]
        return [list(zip(row, numbers, strict=True)) for row in self.rows]


def at(table: str, **filters: Any) -> str:
    """The list of a table ("payments.payment") with these filters; `q` is its search."""
    url = reverse(f"admin:{table.replace('.', '_')}_changelist")
    return f"{url}?{urlencode(filters)}" if filters else url


def linked(url: str, text: Any) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def named(row: Model, text: Any) -> SafeString:
    """A link to the row's page, by another name than its id."""
    return linked(address(row), text)


def chart(title: str, bars: Sequence[tuple[str, int, str]], most: str, *, wrong: Sequence[int] = ()) -> SafeString:
    """Bars of (name, height, what it says), equally wide; `most` is what the highest of them says.

    The first and the last bar have their names below them. `wrong` is how much of each went wrong: the foot of the bar,
    in another colour, and what the bar says says it too. `title` stands above it; a screen reader says it instead.
    """
    highest = max((value for _name, value, _said in bars), default=0) or 1
    step = _WIDTH / max(len(bars), 1)
    room = _HEIGHT - _FOOT - _HEAD
    drawn: list[tuple[str, ...]] = []
    feet: list[tuple[str, ...]] = []
    for place, (name, value, said) in enumerate(bars):
        for into, part in ((drawn, value), (feet, wrong[place] if wrong else 0)):
            height = max(room * part / highest, 1.5) if part > 0 else 0
            top = _HEIGHT - _FOOT - height
            if height or into is drawn:
                into.append((f"{place * step + 1:.1f}", f"{top:.1f}", f"{step - 2:.1f}", f"{height:.1f}", name, said))
    rects = format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>', drawn)
    rects += format_html_join(
        "", '<rect class="wrong" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>', feet
    )
    ends = [(bars[0][0], bars[-1][0])] if bars else []
    names = format_html_join(
        "",
        f'<text x="1" y="{_HEIGHT - 3}">{{}}</text><text x="{_WIDTH - 1}" y="{_HEIGHT - 3}" class="last">{{}}</text>',
        ends,
    )
    return format_html(
        '<p class="quiet" aria-hidden="true">{title}</p>'
        '<svg class="desk-bars" viewBox="0 0 {w} {h}" role="img" aria-label="{title}"><title>{title}</title>'
        '<text x="1" y="10">{most}</text><line x1="0" y1="{base}" x2="{w}" y2="{base}"/>{rects}{names}</svg>',
        w=_WIDTH,
        h=_HEIGHT,
        base=_HEIGHT - _FOOT,
        title=title,
        most=most,
        rects=rects,
        names=names,
    )
