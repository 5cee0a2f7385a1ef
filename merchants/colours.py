"""Which colours a shop may give the dark modules of its codes: those that every reader still tells from white."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

# A camera sees brightness. 4.5 : 1 against white is what WCAG 2 asks of small print, and no code is larger print.
CONTRAST_MIN = 4.5
# A scanner with a red lamp sees the red channel alone. A colour that throws back 30 % of red has a symbol contrast of
# 70 % on pure white, the best grade of ISO/IEC 15415, and of 56 %, its second, on office paper of 80 %.
RED_MAX = 0.30

_FORM = re.compile(r"#[0-9A-Fa-f]{6}")


def is_colour(text: str) -> bool:
    """Whether this is a colour as #rrggbb."""
    return _FORM.fullmatch(text) is not None


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of #rrggbb, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def objection(colour: str) -> str:
    """Why readers would not tell this colour (#rrggbb) from white, as a sentence for its owner; "" when they do."""
    red, green, blue = (_light(channel) for channel in channels(colour))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    if 1.05 / (luminance + 0.05) < CONTRAST_MIN:
        return _("This colour is too light: phones would not tell it from white. Choose a darker one.")
    if red > RED_MAX:
        return _("Scanners with a red lamp see this colour as white. Choose one with less red in it.")
    return ""


def _light(channel: int) -> float:
    """The share of light that an sRGB channel throws back (IEC 61966-2-1)."""
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
