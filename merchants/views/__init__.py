"""The API of this app: a view reads the request, makes one call and answers."""

from merchants.views.devices import DevicesView, OneDeviceView
from merchants.views.entrance import CodeView, StepUpView, TokenView
from merchants.views.files import dev_outbox, photo
from merchants.views.hearing import HeardView, NoticesView
from merchants.views.payment_texts import PaymentTextsView
from merchants.views.pushing import OnePushView, PushHeardView, PushRenewalView, PushTestView, PushView
from merchants.views.scanning import BindView, MineView
from merchants.views.selling import CodesView, ItemsView, ItemView, OneCodeView, ReplaceView, ShopView

__all__ = [
    "BindView",
    "CodeView",
    "CodesView",
    "DevicesView",
    "HeardView",
    "ItemView",
    "ItemsView",
    "MineView",
    "NoticesView",
    "OneCodeView",
    "OneDeviceView",
    "OnePushView",
    "PaymentTextsView",
    "PushHeardView",
    "PushRenewalView",
    "PushTestView",
    "PushView",
    "ReplaceView",
    "ShopView",
    "StepUpView",
    "TokenView",
    "dev_outbox",
    "photo",
]
