"""Who sells, what, with whom, and how they are told: the tables of the `merchants` app, by subject."""

from merchants.models.audit import OperatorAct
from merchants.models.codes import BlankCode, CodeAlarm, CodeBatch, CodeRhythm, ScanCount
from merchants.models.payment_texts import PaymentTexts
from merchants.models.people import OneTimeCode, Shop, Staff, Token, User
from merchants.models.pushing import PushSubscription
from merchants.models.selling import Code, Item, WalletCode
from merchants.models.telling import IdempotentReply, Notice, NoticeCounter, TextMessage

__all__ = [
    "BlankCode",
    "Code",
    "CodeAlarm",
    "CodeBatch",
    "CodeRhythm",
    "IdempotentReply",
    "Item",
    "Notice",
    "NoticeCounter",
    "OneTimeCode",
    "OperatorAct",
    "PaymentTexts",
    "PushSubscription",
    "ScanCount",
    "Shop",
    "Staff",
    "TextMessage",
    "Token",
    "User",
    "WalletCode",
]
