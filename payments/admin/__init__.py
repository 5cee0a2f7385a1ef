"""The back office's pages of money: today, the inbox, the questions and their ends, the shops, the accounts, what was
paid and is contested, what was matched and settled, and the book."""

from payments.admin import (
    accounts,
    adjustments,
    book,
    code_alarms,
    discrepancies,
    disputes,
    fees,
    find,
    inbox,
    matches,
    paying,
    payouts,
    refunds,
    reported,
    settlements,
    shops,
    statements,
    today,
)

__all__ = [
    "accounts",
    "adjustments",
    "book",
    "code_alarms",
    "discrepancies",
    "disputes",
    "fees",
    "find",
    "inbox",
    "matches",
    "paying",
    "payouts",
    "refunds",
    "reported",
    "settlements",
    "shops",
    "statements",
    "today",
]
