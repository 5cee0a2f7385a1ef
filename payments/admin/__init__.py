"""The back office's pages of money: the inbox, the questions and their ends, the shops, the accounts, what was paid and
is contested, what was settled, and the book."""

from payments.admin import (
    accounts,
    adjustments,
    book,
    discrepancies,
    disputes,
    fees,
    inbox,
    paying,
    payouts,
    settlements,
    shops,
)

__all__ = [
    "accounts",
    "adjustments",
    "book",
    "discrepancies",
    "disputes",
    "fees",
    "inbox",
    "paying",
    "payouts",
    "settlements",
    "shops",
]
