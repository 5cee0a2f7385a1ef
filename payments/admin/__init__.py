"""The back office's pages of money: the inbox, the questions, the shops, what was paid, and the book."""

from payments.admin import book, discrepancies, inbox, paying, shops

__all__ = ["book", "discrepancies", "inbox", "paying", "shops"]
