"""Laws of every payload: what is written is what is read, and no single slip of a letter passes unseen.

`CODE_EXAMPLES=50000` draws as many of each as the docs report.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qr.payloads import emvco, khqr, pix, promptpay, tlv, vietqr
from qr.payloads.emvco_fields import CRC
from tests import payload_samples as samples

WRITTEN = st.one_of(
    samples.MERCHANTS.map(emvco.write),
    samples.PIX_STATIC.map(lambda asked: pix.write(**asked)),
    samples.PROMPTPAY_PERSON.map(lambda asked: promptpay.write(**asked)),
    samples.PROMPTPAY_BILL.map(lambda asked: promptpay.write(**asked)),
    samples.VIETQR.map(lambda asked: vietqr.write(**asked)),
    samples.KHQR.map(lambda asked: khqr.write(**asked)),
)
SLIPS = "0123456789ABCDEFabcdef XYZz.*é字"


def flat(objects: Mapping[str, tlv.Value]) -> dict[str, str]:
    return {id_: value if isinstance(value, str) else tlv.write(value) for id_, value in objects.items()}


@samples.MANY
@given(samples.MERCHANTS)
def test_what_is_written_is_what_is_read(objects: dict[str, Any]) -> None:
    payload = emvco.read(emvco.write(objects))
    assert payload.violations == ()
    assert payload.crc_ok
    assert {id_: value for id_, value in payload.objects.items() if id_ != CRC} == flat(objects)
    for id_, value in objects.items():
        if not isinstance(value, str):
            assert payload.template(id_) == flat(value)
    assert emvco.write(payload.objects) == payload.text


def slips(text: str, draw: random.Random) -> list[str]:
    """One of each kind at a place of its own: another letter, one less, one more, two in the other order."""
    at, letter = draw.randrange(len(text)), draw.choice(SLIPS)
    swapped = draw.randrange(len(text) - 1)
    return [
        text[:at] + letter + text[at + 1 :],
        text[:at] + text[at + 1 :],
        text[:at] + letter + text[at:],
        text[:swapped] + text[swapped + 1] + text[swapped] + text[swapped + 2 :],
    ]


@samples.MANY
@given(WRITTEN, st.integers(0, 2**32))
def test_no_slip_of_one_letter_passes_unseen(text: str, seed: int) -> None:
    for slipped in slips(text, random.Random(seed)):
        if slipped != text:
            assert emvco.read(slipped).violations != (), slipped


def test_every_other_character_at_every_place_is_seen() -> None:
    """All of them on one payload: each printed character at each place, and each place left out or doubled."""
    text = promptpay.write(mobile="0812345678", amount=2000)
    unseen = [
        changed
        for at in range(len(text))
        for letter in samples.PRINTED
        for changed in (text[:at] + letter + text[at + 1 :], text[:at] + letter + text[at:])
        if changed != text and not emvco.read(changed).violations
    ]
    unseen += [
        text[:at] + text[at + 1 :] for at in range(len(text)) if not emvco.read(text[:at] + text[at + 1 :]).violations
    ]
    assert unseen == []


@samples.MANY
@given(st.text(max_size=40), WRITTEN, st.integers(0, 100))
def test_reading_never_raises(strange: str, text: str, at: int) -> None:
    payload = emvco.read(text[:at] + strange + text[at + len(strange) :] + "?")
    assert payload.violations
    for profile in (pix, promptpay, vietqr, khqr):
        profile.reads(payload)
