"""Who sells, what, with whom, and how they are told: the tables of the `merchants` app, by subject."""

from merchants.models.audit import OperatorAct
from merchants.models.people import OneTimeCode, Shop, Staff, Token, User
from merchants.models.selling import Code, Item
from merchants.models.telling import IdempotentReply, Notice, NoticeCounter, TextMessage

__all__ = [
    "Code",
    "IdempotentReply",
    "Item",
    "Notice",
    "NoticeCounter",
    "OneTimeCode",
    "OperatorAct",
    "Shop",
    "Staff",
    "TextMessage",
    "Token",
    "User",
]
