"""Stripe's payout reconciliation report: each row adds up, and names the payout that carried it to our bank."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from payments.providers.base import ProviderError, StatementRow, UnableToRead
from tests.settlement_files import rows_in

HEAD = (
    "balance_transaction_id,created_utc,created,currency,gross,net,fee,reporting_category,source_id,description,"
    "customer_facing_amount,customer_facing_currency,automatic_payout_id,automatic_payout_effective_at,customer_id,"
    "charge_id,payment_intent_id,payment_metadata[reference]\n"
)
AT = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)


def row(number: int, category: str, gross: str, fee: str, net: str, **told: str) -> str:
    names = {"currency": "usd", "source": f"ch_{number}", "payout": "po_1", "intent": "", "reference": "", **told}
    return (
        f"txn_{number},2026-11-22 10:00:01,2026-11-22 10:00:01,{names['currency']},{gross},{net},{fee},{category},"
        f'{names["source"]},"Apples, red",,,{names["payout"]},2026-11-25 00:00:00,,ch_{number},{names["intent"]},'
        f"{names['reference']}\n"
    )


REPORT = [
    row(1, "charge", "10.00", "0.59", "9.41", intent="pi_1", reference="int_1"),
    row(2, "refund", "-4.00", "0", "-4.00", source="re_1", intent="pi_1"),
    row(3, "charge", "500", "18", "482", currency="jpy"),
    row(4, "dispute", "-10.00", "15.00", "-25.00", source="du_1", intent="pi_1"),
    row(5, "fee", "-2.00", "0.00", "-2.00", source=""),
    row(6, "payout", "-5.41", "0.00", "-5.41", source="po_1", payout=""),
]


def test_every_row_names_its_payout() -> None:
    assert rows_in("stripe", (HEAD + "".join(REPORT)).encode(), "payout_report") == [
        StatementRow("payment", "pi_1", "int_1", 1000, 59, "USD", AT, settlement_id="po_1"),
        StatementRow("refund", "re_1", "", -400, 0, "USD", AT, "pi_1", "po_1"),
        StatementRow("payment", "ch_3", "", 500, 18, "JPY", AT, settlement_id="po_1"),
        StatementRow("chargeback", "du_1", "", -1000, 1500, "USD", AT, "pi_1", "po_1"),
        StatementRow("fee", "txn_5", "", -200, 0, "USD", AT, settlement_id="po_1"),
        StatementRow("payout", "po_1", "", -541, 0, "USD", AT, settlement_id="po_1"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + REPORT[0].replace("9.41", "9.42"), "line 2 of the report has not the form we know: ValueError('txn_1"),
        (HEAD + REPORT[0] + REPORT[0], "line 3 of the report has not the form we know: ValueError('txn_1 comes twice"),
        (HEAD + REPORT[0].replace("10.00", "10.001"), "line 2 of the report"),
        (HEAD + REPORT[0].replace("2026-11-22", "22/11/26"), "line 2 of the report"),
        (HEAD + REPORT[0][:40], "line 2 of the report has 3 values in 18 columns"),
        (HEAD.replace("net,", ""), "line 1 of the report has not the columns we know: no net"),
        ("", "line 1 of the report has not the columns we know"),
    ],
)  # fmt: skip
def test_a_report_with_a_fault_gives_no_row(text: str, told: str) -> None:
    with pytest.raises(ProviderError) as failure:
        rows_in("stripe", text.encode(), "payout_report")
    assert told in str(failure.value)


def test_a_category_that_we_do_not_know_is_a_row_that_cannot_be_read() -> None:
    with pytest.raises(UnableToRead, match="lottery"):
        rows_in("stripe", (HEAD + row(1, "lottery", "1.00", "0.00", "1.00")).encode(), "payout_report")
