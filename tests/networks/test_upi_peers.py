"""UPI links against a package for Node: what it writes is read, and differs from ours only in how spaces are written.

It needs `make peers`, and skips itself else; fixed outputs of it stand in `tests/test_upi.py`.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qr.payloads import upi
from tests import payload_samples as samples
from tests.networks.node import Peer

pytestmark = pytest.mark.xdist_group("node")

NAMES = st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S"]), min_size=4, max_size=40)


# The package draws a picture for every link.
FEWER = settings(samples.MANY, max_examples=max(1, samples.EXAMPLES // 3))


@FEWER
@given(name=NAMES, note=NAMES, amount=st.none() | st.integers(1, 10**9), reference=samples.WORDS)
def test_upiqr_writes_what_we_read_and_what_we_would_write(
    codes: Peer, name: str, note: str, amount: int | None, reference: str
) -> None:
    told = {
        "payeeVPA": "asha.fruit@okaxis",
        "payeeName": name,
        "payeeMerchantCode": "5411",
        "transactionRef": reference,
    }
    rupees = {"amount": f"{Decimal(amount) / 100:.2f}"} if amount else {}
    theirs = codes.said("upiqr", "write", fields={**told, **rupees, "transactionNote": note, "currency": "INR"})
    ours = upi.write(
        address="asha.fruit@okaxis", payee=name, amount=amount, reference=reference, note=note, category="5411"
    )
    read, written = upi.reads(theirs), upi.reads(ours)
    assert read is not None and written is not None
    assert (read.payee, read.amount, read.reference, read.violations) == (name, amount, reference, ())
    assert read.fields == written.fields
