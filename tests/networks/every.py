"""Every network there is a stand-in of, by the name of its provider."""

from __future__ import annotations

from tests.networks.alipay import Alipay
from tests.networks.base import Network
from tests.networks.mercadopago import MercadoPagoNetwork
from tests.networks.pix import PixBank
from tests.networks.razorpay import Razorpay
from tests.networks.stripe import Stripe
from tests.networks.wechatpay import WeChatPay

EVERY: dict[str, type[Network]] = {
    network.provider: network for network in (Alipay, WeChatPay, Razorpay, PixBank, MercadoPagoNetwork, Stripe)
}
