"""Which browser on which system a User-Agent names: enough for somebody to recognise her own phone in a list.

It is what the program says of itself, and anybody can say anything: it names a device and proves nothing. What is not
in these tables is not guessed at.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

# The first that is found: nearly everything calls itself Chrome and Safari as well.
_BROWSERS = (
    ("WeChat", r"MicroMessenger/"),
    ("Alipay", r"AlipayClient/"),
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"(?:OPR|OPT|OPX|Opera Mini|Opera)/"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("UC Browser", r"UC ?Browser/"),
    ("Mi Browser", r"MiuiBrowser/"),
    ("Huawei Browser", r"HuaweiBrowser/"),
    ("QQ Browser", r"MQQBrowser/"),
    ("Yandex Browser", r"YaBrowser/"),
    ("Firefox", r"(?:Firefox|FxiOS)/"),
    ("Chrome", r"(?:Chrome|CriOS|HeadlessChrome)/"),
    ("Safari", r"Version/[\d.]+ .*Safari/"),
)
_SYSTEMS = (
    ("HarmonyOS", r"HarmonyOS|OpenHarmony"),
    ("KaiOS", r"KAIOS"),
    ("Android", r"Android"),
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("ChromeOS", r"CrOS"),
    ("Windows", r"Windows"),
    ("macOS", r"Macintosh"),  # An iPad that asks for a computer's pages says so, too.
    ("Linux", r"Linux"),
)
_READ_MAX = 1000


def told_by(user_agent: str) -> tuple[str, str]:
    """(browser, system); each is empty where the text names none that we know."""
    text = user_agent[:_READ_MAX]
    return _first(_BROWSERS, text), _first(_SYSTEMS, text)


def named(browser: str, system: str) -> str:
    """What the reader calls such a device, in her language."""
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("Unknown device")


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for name, sign in table if re.search(sign, text)), "")
