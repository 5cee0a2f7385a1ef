"""What moved, and the proof: the tables of the `payments` app, by subject."""

from payments.models.accounts import CredentialChange, Inquiry, OldCredentials, ProviderAccount, ProviderKey
from payments.models.archives import Archive
from payments.models.book import Account, AccountBalance, BalanceSnapshot, EntryKey, LedgerEntry
from payments.models.chain import Seal
from payments.models.discrepancy import Discrepancy
from payments.models.fees import FeeContract
from payments.models.inbox import Delivery, QueuedEvent, WebhookEvent
from payments.models.paying import Dispute, Payment, PaymentIntent, Refund
from payments.models.payouts import Holiday, Payout, PayoutAccount, PayoutBatch, PayoutTerms
from payments.models.receipt_keys import ReceiptKey
from payments.models.reported import ReportedSale
from payments.models.rollups import HourRollup, StartRollup
from payments.models.settlement import (
    Adjustment,
    BankAccount,
    Match,
    Settlement,
    SettlementMatch,
    Statement,
    StatementLine,
)
from payments.models.timers import IntentTimer, PendingRelease

__all__ = [
    "Account",
    "AccountBalance",
    "Adjustment",
    "Archive",
    "BalanceSnapshot",
    "BankAccount",
    "CredentialChange",
    "Delivery",
    "Discrepancy",
    "Dispute",
    "EntryKey",
    "FeeContract",
    "Holiday",
    "HourRollup",
    "Inquiry",
    "IntentTimer",
    "LedgerEntry",
    "Match",
    "OldCredentials",
    "Payment",
    "PaymentIntent",
    "Payout",
    "PayoutAccount",
    "PayoutBatch",
    "PayoutTerms",
    "PendingRelease",
    "ProviderAccount",
    "ProviderKey",
    "QueuedEvent",
    "ReceiptKey",
    "Refund",
    "ReportedSale",
    "Seal",
    "Settlement",
    "SettlementMatch",
    "StartRollup",
    "Statement",
    "StatementLine",
    "WebhookEvent",
]
