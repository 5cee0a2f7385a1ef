"""Payment codes of any wallet: what each kind says, read tolerantly and written strictly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from django.utils.translation import gettext as _

from qr.payloads import emvco, epc, khqr, national, pix, promptpay, swiss, upi, vietqr, wallets, web
from qr.payloads.base import Reading, Violation
from qr.payloads.words import plain

LONGEST = 4000  # Letters; the largest QR code holds 4,296.
UNKNOWN = "unknown"

# Who is asked first. Each answers None for what is not its own; the last takes whatever is built as EMVCo has it.
PROFILES: tuple[Callable[[str], Reading | None], ...] = (upi.reads, wallets.reads, web.reads, epc.reads, swiss.reads)
NETWORKS: tuple[Callable[[emvco.Payload], Reading | None], ...] = (
    pix.reads,
    promptpay.reads,
    vietqr.reads,
    khqr.reads,
    national.paynow,
    national.qris,
    national.duitnow,
    national.hkfps,
    national.mmqr,
    national.bharat,
    national.generic,
)


def read(text: str) -> Reading:
    """What a scanned text is. Never raises; what it is not sure of is `unknown`.

    Names and accounts of the answer are without marks that cannot be seen; where there were some, it says so.
    """
    considered = "".join(letter if not "\ud800" <= letter <= "\udfff" else "\ufffd" for letter in text[:LONGEST])
    reading = _known(considered) or Reading(UNKNOWN, _("Not a payment code that we know"), considered, "unconfirmed")
    violations = list(reading.violations)
    if len(text) > LONGEST:
        detail = _("It is longer than %s letters; the rest was not read.") % f"{LONGEST:,}"
        violations.append(Violation("too_long", "", detail, fatal=True))
    shown = replace(
        reading,
        payee=plain(reading.payee),
        account=plain(reading.account),
        city=plain(reading.city),
        reference=plain(reading.reference),
    )
    if shown != reading:
        detail = _("It holds marks that cannot be seen, and that can make a name look like another.")
        violations.append(Violation("hidden_marks", "", detail))
    seen = tuple(replace(violation, detail=plain(violation.detail)) for violation in violations)
    return replace(shown, violations=seen)


def _known(text: str) -> Reading | None:
    found = (reads(text) for reads in PROFILES)
    if emvco.looks_like(text):
        payload = emvco.read(text)
        found = (reads(payload) for reads in NETWORKS)
    return next((reading for reading in found if reading is not None), None)
