"""The API of this app: a view reads the request, makes one call and answers."""

from merchants.views.entrance import CodeView, StepUpView, TokenView
from merchants.views.files import dev_outbox, photo
from merchants.views.hearing import NoticesView
from merchants.views.selling import CodesView, ItemsView, ItemView, OneCodeView, ShopView

__all__ = [
    "CodeView",
    "CodesView",
    "ItemView",
    "ItemsView",
    "NoticesView",
    "OneCodeView",
    "ShopView",
    "StepUpView",
    "TokenView",
    "dev_outbox",
    "photo",
]
