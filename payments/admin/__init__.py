"""The back office's pages of money: the inbox, the questions, the shops, the accounts, what was paid and
is contested, and the book."""

from payments.admin import accounts, book, discrepancies, disputes, inbox, paying, shops, statements

__all__ = ["accounts", "book", "discrepancies", "disputes", "inbox", "paying", "shops", "statements"]
