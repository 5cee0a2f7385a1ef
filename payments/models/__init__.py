"""What moved, and the proof: the tables of the `payments` app, by subject."""

from payments.models.accounts import CredentialChange, Inquiry, OldCredentials, ProviderAccount, ProviderKey
from payments.models.book import Account, AccountBalance, BalanceSnapshot, LedgerEntry
from payments.models.chain import Seal
from payments.models.discrepancy import Discrepancy
from payments.models.inbox import QueuedEvent, WebhookEvent
from payments.models.paying import Dispute, Payment, PaymentIntent, Refund

__all__ = [
    "Account",
    "AccountBalance",
    "BalanceSnapshot",
    "CredentialChange",
    "Discrepancy",
    "Dispute",
    "Inquiry",
    "LedgerEntry",
    "OldCredentials",
    "Payment",
    "PaymentIntent",
    "ProviderAccount",
    "ProviderKey",
    "QueuedEvent",
    "Refund",
    "Seal",
    "WebhookEvent",
]
