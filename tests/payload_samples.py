"""Payment codes by the thousand: what each profile can be asked to write, drawn by Hypothesis."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from string import ascii_letters, ascii_lowercase, digits
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from qr.payloads import pix, promptpay

EXAMPLES = int(os.environ.get("CODE_EXAMPLES", "60"))
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

PRINTED = "".join(map(chr, range(0x20, 0x7F)))
# What a name may look like to whoever types it; no networks' package trims it.
NAME_LETTERS = ascii_letters + digits + " .-'&"
ACCENTED = NAME_LETTERS + "áàâãçéêíóôõúüÁÇÉÑđĐ"


def text(alphabet: str, most: int, least: int = 1) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


def trimmed(alphabet: str, most: int) -> st.SearchStrategy[str]:
    """A text with no space at its ends nor two in a row, as the writers leave it."""
    return text(alphabet, most).map(lambda said: " ".join(said.split())).filter(bool)


def number(length: int, least: int | None = None) -> st.SearchStrategy[str]:
    return text(digits, length, length if least is None else least)


def maybe(**choices: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=choices)


def asked(
    fixed: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fixed, optional=optional)


AMOUNTS = st.integers(1, 10**9) | st.integers(1, 10**11)
NAMES, CITIES = trimmed(NAME_LETTERS, 25), trimmed(NAME_LETTERS, 15)
WORDS = text(ascii_letters + digits, 25)

# --- Pix -------------------------------------------------------------------------------------------------------------


def completed(number: str) -> str:
    """A CPF or CNPJ with the two check digits that fit."""
    return next(whole for end in range(100) if pix.key_kind(whole := f"{number}{end:02d}"))


KEYS = st.one_of(
    number(9).filter(lambda drawn: len(set(drawn)) > 1).map(completed),
    text(digits + "ABCDEFGHJKLMNPRSTVWXYZ", 12, 12).filter(lambda drawn: len(set(drawn)) > 1).map(completed),
    st.uuids().map(str),
    number(11).map("+55{}".format),
    st.builds("{}@{}.com.br".format, text(ascii_lowercase + digits, 10), text(ascii_lowercase, 10)),
)
URLS = st.builds("{}.example.com/{}".format, text(ascii_lowercase, 8), text(ascii_letters + digits + "/-_", 40))
PIX_STATIC = asked(
    {"name": NAMES, "city": CITIES, "key": KEYS},
    amount=AMOUNTS,
    txid=WORDS,
    info=trimmed(NAME_LETTERS, 25),
    cash_facilitator=number(8),
    once=st.booleans(),
)
PIX_DYNAMIC = asked({"name": NAMES, "city": CITIES, "url": URLS}, recurrence_url=URLS, once=st.booleans())
PIX_RECURRENCE = asked({"name": NAMES, "city": CITIES, "recurrence_url": URLS})

# --- PromptPay -------------------------------------------------------------------------------------------------------


def thai_number(first_twelve: str) -> str:
    return next(whole for end in digits if promptpay.check_digit_fits(whole := first_twelve + end))


REFERENCES = text(ascii_letters + digits, 20)
PERSON_TARGETS = st.one_of(
    number(9).map(lambda drawn: {"mobile": f"0{drawn}"}),
    number(12).map(lambda drawn: {"national_id": thai_number(drawn)}),
    number(15).map(lambda drawn: {"wallet": drawn}),
)
PROMPTPAY_PERSON = st.builds(
    lambda target, more: target | more, PERSON_TARGETS, maybe(amount=AMOUNTS, name=NAMES, city=CITIES)
)
PROMPTPAY_BILL = asked(
    {"biller": number(15), "reference1": REFERENCES}, reference2=REFERENCES, reference3=WORDS, amount=AMOUNTS
)

# --- VietQR ----------------------------------------------------------------------------------------------------------


def luhn(first: str) -> str:
    """A card's number: the digit that fits, by the rule as ISO 7812 tells it."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(first))]
    return first + str(-sum(value // 10 + value % 10 for value in doubled) % 10)


VIETQR_TARGETS = st.one_of(
    text(digits + "ABCPSXZ", 19).map(lambda drawn: {"account": drawn}),
    number(18, 15).map(lambda drawn: {"card": luhn(drawn)}),
)
VIETQR = st.builds(
    lambda target, more: target | more,
    VIETQR_TARGETS,
    asked(
        {"bank": number(6)}, amount=AMOUNTS, purpose=trimmed(NAME_LETTERS, 25), reference=WORDS, name=NAMES, city=CITIES
    ),
)

# --- KHQR ------------------------------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001
    lambda drawn: drawn.replace(microsecond=drawn.microsecond // 1000 * 1000, tzinfo=UTC)
)
LOCAL = st.text(st.characters(min_codepoint=0x1780, max_codepoint=0x17B3), min_size=1, max_size=15)
PRICES = st.one_of(
    st.just({}),
    st.builds(lambda riel: {"currency": "KHR", "amount": riel * 100}, st.integers(1, 10**10)),
    st.builds(lambda cents: {"currency": "USD", "amount": cents}, AMOUNTS),
)
LIVES = st.builds(
    lambda created, seconds: {"created": created, "expires": created + timedelta(seconds=seconds)},
    MOMENTS,
    st.integers(1, 10**6),
)
HOLDERS = st.one_of(
    maybe(bank=trimmed(NAME_LETTERS, 32), account_information=text(digits, 12)),
    asked({"merchant_id": text(ascii_letters + digits, 12), "bank": trimmed(NAME_LETTERS, 32)}),
)
ADDITIONAL = maybe(
    bill=text(ascii_letters + digits + "#-", 12), mobile=number(12), store=WORDS, terminal=text(ascii_letters, 8)
)
KHQR = st.builds(
    lambda holder, price, life, more, local, known: known | holder | price | life | more | local,
    HOLDERS,
    PRICES,
    LIVES,
    ADDITIONAL,
    st.just({}) | st.builds(lambda name: {"language": "km", "local_name": name}, LOCAL),
    asked(
        {
            "account": st.builds("{}@{}".format, text(ascii_lowercase + digits + "_", 12), text(ascii_lowercase, 4)),
            "name": NAMES,
            "city": CITIES,
        }
    ),
)

# --- Any payload -----------------------------------------------------------------------------------------------------

VALUES = text(PRINTED, 20)
WIDE = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]), min_size=1, max_size=15
)
SYSTEM = st.builds(lambda guid, more: {"00": guid} | more, text(ascii_lowercase + ".", 20), maybe(**{"01": VALUES}))


def _ids(first: int, last: int, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """One or two fields between these ids."""
    one = st.builds(lambda id_, value: {f"{id_:02d}": value}, st.integers(first, last), values)
    return one | st.builds(lambda these, those: these | those, one, one)


NOTHING: st.SearchStrategy[dict[str, Any]] = st.just({})
FEES = st.sampled_from([{}, {}, {"55": "01"}, {"55": "02", "56": "5.00"}, {"55": "03", "57": "12.5"}])
MERCHANTS = st.builds(
    lambda known, plain, systems, fees, more, reserved, own: (
        {"00": "01"} | plain | systems | known | fees | more | reserved | own
    ),
    st.builds(
        lambda currency, rest: {"53": currency} | rest,
        st.sampled_from(["156", "356", "392", "404", "414", "986"]),
        asked(
            {
                "52": number(4),
                "58": text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 2, 2),
                "59": text(PRINTED, 25),
                "60": text(PRINTED, 15),
            },
            **{"01": st.sampled_from(["11", "12"]), "54": st.integers(1, 10**9).map(str), "61": text(PRINTED, 10)},
        ),
    ),
    NOTHING | _ids(2, 25, VALUES),
    st.builds(lambda one, more: {"26": one} | more, SYSTEM, NOTHING | _ids(27, 51, SYSTEM)),
    FEES,
    NOTHING
    | st.builds(lambda told: {"62": told}, _ids(1, 8, text(PRINTED, 25) | st.just("***")))
    | st.builds(
        lambda name, city: {"64": {"00": "zh", "01": name} | ({"02": city} if city else {})}, WIDE, WIDE | st.just("")
    ),
    NOTHING | _ids(65, 79, WIDE),
    NOTHING | _ids(80, 99, SYSTEM),
)
