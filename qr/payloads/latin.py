"""Names in the plain Latin letters that payment networks ask for: accents go, the letters stay."""

from __future__ import annotations

import unicodedata

# Letters and signs that Unicode does not take apart into a plain one and a mark.
_PLAIN = str.maketrans(
    {
        "đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe",
        "Œ": "OE", "ı": "i", "’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-",
    }
)  # fmt: skip


def plain(text: str) -> str:
    """Without accents ("Pao de Acucar"); a text in another script stays as it is, for it has no plain letters."""
    apart = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter)) if _latin(apart) else text
    return " ".join(unicodedata.normalize("NFC", bare).split())


def shortened(text: str, longest: int) -> str:
    """The plain text, cut to so many characters, between two words where that leaves more than half of them."""
    whole = plain(text)
    if len(whole) <= longest:
        return whole
    cut = whole[: longest + 1].rpartition(" ")[0]
    return cut if len(cut) * 2 > longest else whole[:longest].rstrip()


def _latin(apart: str) -> bool:
    return all(letter.isascii() or unicodedata.combining(letter) for letter in apart)
