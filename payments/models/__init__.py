"""What moved, and the proof: the tables of the `payments` app, by subject."""

from payments.models.book import Account, AccountBalance, BalanceSnapshot, LedgerEntry
from payments.models.discrepancy import Discrepancy
from payments.models.inbox import QueuedEvent, WebhookEvent
from payments.models.paying import Payment, PaymentIntent, ProviderAccount, Refund

__all__ = [
    "Account",
    "AccountBalance",
    "BalanceSnapshot",
    "Discrepancy",
    "LedgerEntry",
    "Payment",
    "PaymentIntent",
    "ProviderAccount",
    "QueuedEvent",
    "Refund",
    "WebhookEvent",
]
