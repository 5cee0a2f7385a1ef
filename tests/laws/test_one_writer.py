"""Law 4: one writer per fact. The source itself is read for other writers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WRITES = {"create", "bulk_create", "update", "save", "bulk_update", "get_or_create", "update_or_create", "delete"}

# Which modules may write the rows of a model; a module that only makes the row (its beginning) is named with it.
WRITERS = {
    "Payment": {"payments/reconcile.py", "payments/recording.py"},
    "PaymentIntent": {"payments/checkout.py", "payments/asking.py", "payments/recording.py", "payments/freezing.py"},
    "IntentTimer": {"payments/timers.py"},
    "PendingRelease": {"payments/reconcile.py", "payments/recording.py"},
    "Refund": {"payments/refunds.py", "payments/refund_reviews.py", "payments/recording.py"},
    "Dispute": {"payments/recording.py", "payments/disputes.py"},
    "Inquiry": {"payments/inquiries.py", "payments/asking.py"},
    # Each asks its own questions; an end with money stands in one place.
    "Discrepancy": {
        "payments/recording.py",
        "payments/refunds.py",
        "payments/operating.py",
        "payments/payouts/outcomes.py",
        "payments/payouts/bank_lines.py",
        "payments/remedies.py",
        "payments/settlement/pairing.py",
        "payments/settlement/differences.py",
        "payments/settlement/suspended.py",
        "payments/settlement/storing.py",
        "payments/settlement/replacing.py",
        "payments/settlement/files.py",
    },
    "Adjustment": {"payments/remedies.py", "payments/retiring.py"},
    "Settlement": {"payments/settlement/totals.py"},
    "SettlementMatch": {"payments/settlement/banking.py"},
    "Match": {
        "payments/settlement/pairing.py",
        "payments/settlement/undoing.py",
        "payments/settlement/banking.py",
        "payments/payouts/bank_lines.py",
    },
    "StatementLine": {
        "payments/settlement/storing.py",
        "payments/settlement/replacing.py",
        "payments/settlement/matching.py",
        "payments/settlement/pairing.py",
        "payments/settlement/repairs.py",
        "payments/settlement/undoing.py",
        "payments/settlement/banking.py",
        "payments/payouts/bank_lines.py",
    },
    "Statement": {
        "payments/settlement/files.py",
        "payments/settlement/fetching.py",
        "payments/settlement/missing.py",
    },
    "BankAccount": {"payments/settlement/bank_accounts.py"},
    "Payout": {"payments/payouts/outcomes.py"},
    "PayoutAccount": {"payments/payouts/accounts.py"},
    "PayoutBatch": {"payments/payouts/preparing.py", "payments/payouts/batches.py"},
    "PayoutTerms": {"payments/payouts/terms.py"},
    "Holiday": {"payments/payouts/terms.py"},
    "LedgerEntry": {"payments/ledger.py"},
    "EntryKey": {"payments/ledger.py"},
    "AccountBalance": {"payments/ledger.py"},
    "Account": {"payments/ledger.py"},
    "BalanceSnapshot": {"payments/ledger.py"},
    "Seal": {"payments/chain.py"},
    "Archive": {"payments/archive.py", "payments/retiring.py"},
    "HourRollup": {"payments/rollups.py"},
    "StartRollup": {"payments/rollups.py"},
    "FeeContract": {"payments/fee_desk.py"},
    "Notice": {"merchants/notify.py"},
    "NoticeCounter": {"merchants/notify.py", "merchants/sign_in.py"},
    "PushSubscription": {"merchants/pushing.py"},
    "PaymentTexts": {"merchants/payment_texts.py"},
    "CodeAlarm": {"payments/code_watch.py"},
    "CodeRhythm": {"payments/code_rhythms.py", "payments/code_watch.py"},
    "WebhookEvent": {"payments/inbox.py"},
    "Delivery": {"payments/inbox.py"},
    "QueuedEvent": {"payments/inbox.py"},
    "OperatorAct": {"merchants/audit.py"},
    # Expired ones are forgotten with everything else that is old.
    "Token": {"merchants/devices.py", "merchants/expired.py"},
    "OneTimeCode": {"merchants/one_time_codes.py"},
    # A shop and an item each begin with a code.
    "Code": {"merchants/codes.py", "merchants/items.py", "merchants/sign_in.py"},
    "CodeBatch": {"merchants/batches.py"},
    "BlankCode": {"merchants/batches.py"},
    "ScanCount": {"merchants/scans.py"},
    "ProviderAccount": {
        "payments/accounts.py",
        "payments/operating.py",
        "payments/management/commands/enable_sandbox.py",
    },
    "OldCredentials": {"payments/accounts.py"},
    "CredentialChange": {"payments/accounts.py"},
    "ProviderKey": {"payments/credentials.py"},
    "WalletCode": {"qr/wallet_codes.py"},
    "ReportedSale": {"payments/reported.py"},
    "ReceiptKey": {"payments/receipt_keys.py"},
}
TABLES = {
    "payments_payment": "Payment",
    "payments_paymentintent": "PaymentIntent",
    "payments_refund": "Refund",
    "payments_dispute": "Dispute",
    "payments_inquiry": "Inquiry",
    "payments_discrepancy": "Discrepancy",
    "payments_adjustment": "Adjustment",
    "payments_settlement": "Settlement",
    "payments_settlementmatch": "SettlementMatch",
    "payments_match": "Match",
    "payments_statementline": "StatementLine",
    "payments_payout": "Payout",
    "payments_payoutaccount": "PayoutAccount",
    "payments_payoutbatch": "PayoutBatch",
    "payments_statement": "Statement",
    "payments_ledgerentry": "LedgerEntry",
    "payments_entrykey": "EntryKey",
    "payments_accountbalance": "AccountBalance",
    "payments_intenttimer": "IntentTimer",
    "payments_pendingrelease": "PendingRelease",
    "payments_account": "Account",
    "payments_balancesnapshot": "BalanceSnapshot",
    "payments_seal": "Seal",
    "payments_archive": "Archive",
    "payments_hourrollup": "HourRollup",
    "payments_startrollup": "StartRollup",
    "payments_feecontract": "FeeContract",
    "merchants_codealarm": "CodeAlarm",
    "merchants_coderhythm": "CodeRhythm",
    "payments_webhookevent": "WebhookEvent",
    "payments_delivery": "Delivery",
    "payments_queuedevent": "QueuedEvent",
    "payments_provideraccount": "ProviderAccount",
    "payments_oldcredentials": "OldCredentials",
    "payments_credentialchange": "CredentialChange",
    "payments_providerkey": "ProviderKey",
    "payments_reportedsale": "ReportedSale",
    "merchants_walletcode": "WalletCode",
    "payments_receiptkey": "ReceiptKey",
    "merchants_token": "Token",
    "merchants_onetimecode": "OneTimeCode",
    "merchants_code": "Code",
    "merchants_codebatch": "CodeBatch",
    "merchants_blankcode": "BlankCode",
    "merchants_scancount": "ScanCount",
    "merchants_notice": "Notice",
    "merchants_noticecounter": "NoticeCounter",
    "merchants_pushsubscription": "PushSubscription",
    "merchants_paymenttexts": "PaymentTexts",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for app in ("merchants", "payments", "qr", "config"):
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts and "sandbox" not in path.parts[:-1]:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def written_in(tree: ast.Module) -> Iterator[str]:
    """The models that a module writes: by a manager's or a queryset's method, or by SQL."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            names = [part.id for part in ast.walk(node.func) if isinstance(part, ast.Name)]
            yield from (name for name in names if name in WRITERS)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            for verb, name in pairwise(words):
                if verb.upper() in {"INTO", "UPDATE", "FROM"} and name.strip('",') in TABLES:
                    before = words[: words.index(name)]
                    if verb.upper() != "FROM" or (len(before) > 1 and before[-2].upper() == "DELETE"):
                        yield TABLES[name.strip('",')]


def breaches() -> set[tuple[str, str]]:
    return {(name, model) for name, tree in sources() for model in written_in(tree) if name not in WRITERS[model]}


def test_every_fact_has_one_writer() -> None:
    assert breaches() == set()


@pytest.mark.parametrize(
    ("code", "model"),
    [
        ("Payment.objects.filter(id=1).update(amount=2)", "Payment"),
        ("LedgerEntry.objects.create()", "LedgerEntry"),
        ("cursor.execute('UPDATE payments_payment SET amount = 2')", "Payment"),
        ("cursor.execute('DELETE FROM payments_queuedevent')", "QueuedEvent"),
        ("cursor.execute('INSERT INTO merchants_notice VALUES (1)')", "Notice"),
    ],
)
def test_another_writer_is_seen(code: str, model: str) -> None:
    assert set(written_in(ast.parse(code))) == {model}


def test_reading_is_not_writing() -> None:
    code = "Payment.objects.filter(id=1).first(); cursor.execute('SELECT * FROM payments_payment')"
    assert set(written_in(ast.parse(code))) == set()
