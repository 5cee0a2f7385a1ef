"""The back office's pages of money: the inbox, the questions, the shops, the accounts, what was paid, and the book."""

from payments.admin import accounts, book, discrepancies, inbox, paying, shops

__all__ = ["accounts", "book", "discrepancies", "inbox", "paying", "shops"]
