"""Browsers and systems are told from what real ones send; what is not known is not guessed at."""

from __future__ import annotations

import pytest

from merchants import user_agents

_ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
_WEBVIEW = "Mozilla/5.0 (Linux; Android 12; V2046A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"{_ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{_ANDROID} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"),
        (f"{_ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/126.0.0.0", "Edge on Android"),
        (f"{_ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36 OPR/83.0.0.0", "Opera on Android"),
        (f"{_WEBVIEW} UCBrowser/15.5.8 Chrome/100.0 Mobile Safari/537.36", "UC Browser on Android"),
        (f"{_WEBVIEW} Chrome/126.0 XWEB/1260 MMWEBSDK/2024 MicroMessenger/8.0.49(0x28) Mobile", "WeChat on Android"),
        (f"{_WEBVIEW} Chrome/126.0 MiuiBrowser/18.5.40 Mobile Safari/537.36", "Mi Browser on Android"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", "Firefox on Android"),
        (
            "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit Chrome/114.0 ArkWeb/4.1 Mobile",
            "Chrome on HarmonyOS",
        ),
        ("Mozilla/5.0 (Mobile; Nokia_2720; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", "Firefox on KaiOS"),
        (f"{_IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{_IPHONE} CriOS/126.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{_IPHONE} FxiOS/127.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (f"{_IPHONE} Mobile/15E148 AlipayClient/10.5.88", "Alipay on iPhone"),
        (f"{_MAC} Version/17.5 Safari/605.1.15", "Safari on macOS"),
        (f"{_WINDOWS} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
            "Chrome on ChromeOS",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Linux; Android 9)", "Android"),
        ("Firefox/1.0", "Firefox"),
        ("python-requests/2.32", "Unknown device"),
        ("x" * 1000 + " Firefox/1.0 (Windows)", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_a_device_is_named_by_what_it_sends(text: str, named: str) -> None:
    assert user_agents.named(*user_agents.told_by(text)) == named
