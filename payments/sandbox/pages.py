"""The payer's pages as text: what a payer sees of an order, written for a phone and working without script."""

import base64
import hashlib
import sqlite3
from dataclasses import dataclass
from html import escape
from typing import Literal

from iso4217 import Currency

from .behaviours import BEHAVIOURS
from .exchange import Answer, origin_of

STYLE = """
:root{color-scheme:light dark;--paper:#f3f5f4;--card:#fff;--ink:#16211c;--soft:#5a6a62;--line:#dfe5e2;--go:#0b6b46;
--goink:#fff;--gone:#a3341f;--note:#fff4d6;--noteink:#5c4300}
@media(prefers-color-scheme:dark){:root{--paper:#0f1513;--card:#18211d;--ink:#ecf2ef;--soft:#9fb0a8;--line:#2b3833;
--go:#57cf9b;--goink:#06281a;--gone:#f08a75;--note:#3a2f10;--noteink:#ffe2a0}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans",sans-serif;display:flex;flex-direction:column;align-items:center;min-height:100vh;padding:16px}
header{width:100%;max-width:420px;display:flex;align-items:center;gap:8px;font-weight:600;padding:4px 2px 14px}
header i{width:22px;height:22px;border-radius:7px;background:var(--go);display:inline-block}
main{width:100%;max-width:420px;background:var(--card);border:1px solid var(--line);border-radius:20px;
padding:24px 20px}
.note{background:var(--note);color:var(--noteink);border-radius:12px;padding:10px 14px;font-size:15px;margin:0 0 20px}
.what{margin:0;color:var(--soft);text-align:center;overflow-wrap:anywhere}
.sum{margin:6px 0 22px;text-align:center;font-weight:700;font-size:46px;line-height:1.15;letter-spacing:-.02em;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.sum small{font-size:20px;font-weight:600;color:var(--soft);letter-spacing:0;margin-left:6px}
h1{font-size:24px;margin:0 0 4px;text-align:center}
.bad{color:var(--gone)}.good{color:var(--go)}
button,.button{display:block;width:100%;min-height:54px;border:0;border-radius:14px;font:inherit;font-weight:650;
cursor:pointer;text-align:center;text-decoration:none;padding:14px;margin-top:12px}
.go{background:var(--go);color:var(--goink)}.no{background:transparent;color:var(--ink);border:1px solid var(--line)}
button:focus-visible,.button:focus-visible,select:focus-visible,summary:focus-visible{outline:3px solid #6ab;
outline-offset:2px}
label{display:block;font-size:15px;color:var(--soft);margin-top:22px;padding-top:18px;border-top:1px solid var(--line)}
select{width:100%;min-height:48px;margin-top:6px;font:inherit;font-size:16px;color:inherit;background:var(--card);
border:1px solid var(--line);border-radius:12px;padding:8px 10px}
footer{max-width:420px;color:var(--soft);font-size:13px;padding:14px 6px;overflow-wrap:anywhere;text-align:center}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
NOTE = '<p class="note">This is a pretend wallet: no real money moves.</p>'


@dataclass(frozen=True)
class Said:
    """What a page tells about an order that can no longer be decided: a mood, a headline and a sentence."""

    mood: Literal["good", "bad"]
    headline: str
    sentence: str


OUTCOMES = {
    "paid": Said("good", "Paid", "The payment was taken."),
    "refused": Said("bad", "Refused", "You refused this payment. Nothing was taken."),
    "closed": Said("bad", "Closed", "This order has expired or was closed. Nothing was taken."),
    "closed, paid": Said("bad", "Paid too late", "This order was closed, and the payment was taken all the same."),
}


def order_page(order: sqlite3.Row, *, state: str, paid: bool, status: int = 200) -> Answer:
    """Show an order in its state: to be decided while it is open, and what became of it afterwards."""
    what = f'<p class="what">{escape(order["description"]) or "A payment"}</p>'
    if state == "open":
        body = f"{NOTE}{what}{_amount(order)}{_decision_form(order)}"
        return page(status, "Pay", body, order["reference"], order["return_url"])
    said = OUTCOMES["closed, paid" if state == "closed" and paid else state]
    body = (
        f'{NOTE}<h1 class="{said.mood}">{said.headline}</h1>{what}{_amount(order)}'
        f'<p class="what">{said.sentence}</p>'
        f'<a class="button go" href="{escape(order["return_url"])}">Back to the shop</a>'
    )
    body += _late_form(order) if state == "closed" and not paid else ""
    return page(status, said.headline, body, order["reference"], order["return_url"])


def page(status: int, title: str, body: str, reference: str = "", return_url: str = "") -> Answer:
    """Wrap a body (HTML that is escaped already) as a whole page with a policy that lets nothing else run or load.

    Browsers hold a form's redirect to `form-action` as well, so the shop's origin must be listed for the way back.
    """
    footer = f"<footer>Order {escape(reference)}</footer>" if reference else ""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)} · Pretend wallet</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>'
        f"<body><header><i></i>Pretend wallet</header><main>{body}</main>{footer}</body></html>"
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; base-uri 'none';"
        f" frame-ancestors 'none'; form-action 'self' {origin_of(return_url)}"
    )
    headers = {"Content-Security-Policy": policy.strip(), "X-Frame-Options": "DENY"}
    return Answer(status, html.encode(), "text/html; charset=utf-8", headers)


def message_page(status: int, headline: str, sentence: str) -> Answer:
    """Show a headline and a sentence, where there is no order to show."""
    return page(status, headline, f'{NOTE}<h1>{escape(headline)}</h1><p class="what">{escape(sentence)}</p>')


def money(amount: int, currency: str) -> str:
    """Write minor units in the currency's major unit with its ISO 4217 exponent: 200 CNY is 2.00, 200 JPY is 200."""
    exponent = Currency(currency).exponent or 0
    whole, part = divmod(amount, 10**exponent)
    return f"{whole:,}.{part:0{exponent}d}" if exponent else f"{whole:,}"


def _amount(order: sqlite3.Row) -> str:
    return f'<p class="sum">{money(order["amount"], order["currency"])}<small>{order["currency"]}</small></p>'


def _decision_form(order: sqlite3.Row) -> str:
    choices = "".join(f'<option value="{name}">{escape(text)}</option>' for name, text in BEHAVIOURS.items())
    return (
        f'<form method="post" action="/pay/{order["id"]}">'
        '<button class="go" name="decision" value="approve">Approve</button>'
        '<button class="no" name="decision" value="refuse">Refuse</button>'
        '<label for="behaviour">How the wallet behaves, for testing</label>'
        f'<select id="behaviour" name="behaviour"><option value="">As it should</option>{choices}</select></form>'
    )


def _late_form(order: sqlite3.Row) -> str:
    return (
        f'<form method="post" action="/pay/{order["id"]}"><input type="hidden" name="behaviour" value="late">'
        "<label>For testing</label>"
        '<button class="no" name="decision" value="approve">Pay all the same, too late</button></form>'
    )
