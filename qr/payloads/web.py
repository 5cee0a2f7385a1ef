"""Web links in codes: our own (`https://…/s/<slug>`), those that only look like ours, and any others.

What is ours, `merchants.links` decides letter for letter. How browsers read strange addresses matters for the
look-alikes alone: where they really lead is said.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from merchants import links
from qr.payloads.base import Reading, Unwritable, Violation

PROFILE, LOOK_ALIKE, LINK = "pushcart", "look_alike", "link"
_SLUG = re.compile(links.SLUG)
_WEB = re.compile(r"(?P<scheme>https?):[/\\]*(?P<rest>[^/\\].*)", re.IGNORECASE | re.DOTALL)
# Letters of other scripts, and digits, that pass for a Latin letter at a glance.
_PASSES_FOR = str.maketrans(
    "аеорсухіјѕԁһԛԝӏкмтвнαορνικτυχηωɑɡıǀ01|!",
    "aeopcyxijsdhqwlkmtbhaopviktuxnwagilolll",
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_TYPED_WRONG_FROM = 8  # Shorter hosts are one letter away from many honest ones.


@dataclass(frozen=True, slots=True)
class Address:
    """Where a browser would go: `user` is what stands before an @, which leads nowhere."""

    scheme: str
    user: str
    host: str
    port: str
    path: str


def write(slug: str) -> str:
    """What is printed for a slug. Raises Unwritable for what is no slug of ours."""
    if not _SLUG.fullmatch(slug):
        raise Unwritable("slug_malformed", "", _("This is no slug of a code."))
    return f"{settings.PUBLIC_URL}/s/{slug}"


def reads(text: str) -> Reading | None:
    """Our own link, one that looks like ours, or any other web link; None for what is no web link."""
    slug = links.slug_of(text) if "://" in text else None
    if slug is not None:
        return Reading(PROFILE, _("A code of this service"), text, "provider", account=slug, fields={"slug": slug})
    address = parts(text)
    if address is None:
        return None
    # A receipt's code leads to our page about it: that is one of ours, and no code to pay by.
    wrong = None if text.startswith(f"{settings.PUBLIC_URL}/p/") else _pretence(address)
    if wrong is not None:
        title = _("A link that looks like ours, and is not")
        return Reading(
            LOOK_ALIKE, title, text, "unconfirmed", account=address.host, fields=_fields(address), violations=(wrong,)
        )
    found = []
    if address.scheme != "https":
        found.append(
            Violation("not_encrypted", "", _("The link is not encrypted: others can read and change the page."))
        )
    if address.user:
        detail = _("What stands before the @ is not where it leads.")
        found.append(Violation("user_in_address", "", detail, True))
    return Reading(
        LINK,
        _("A web link"),
        text,
        "unconfirmed",
        account=address.host,
        fields=_fields(address),
        violations=tuple(found),
    )


def parts(text: str) -> Address | None:
    """A web address as browsers read it: a backslash is a slash, tabs and line breaks are nothing. Never raises."""
    link = _WEB.fullmatch("".join(letter for letter in text.strip() if letter not in "\t\r\n"))
    if link is None:
        return None
    rest = link["rest"].replace("\\", "/")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = re.split(r"[?#]", rest[len(authority) :], maxsplit=1)[0]
    user, _at, place = authority.rpartition("@")
    port = re.search(r":([0-9]*)$", place)
    host = place[: port.start()] if port else place
    return Address(link["scheme"].lower(), user, _spelled(host), port[1] if port else "", path)


def _fields(address: Address) -> dict[str, str]:
    return {"host": address.host, "path": address.path}


def _pretence(address: Address) -> Violation | None:
    """Why it looks like a link of ours; None when it does not."""
    ours = urlsplit(settings.PUBLIC_URL)
    our_host = _spelled(ours.hostname or "")
    if address.host.rstrip(".") == our_host:
        return _on_our_host(address, ours.path)
    if our_host in address.user.lower():
        detail = _("Our name stands before an @, which means nothing. It leads to %s.") % address.host
        return Violation("our_name_before_at", "", detail, True)
    if address.host.startswith(f"{our_host}.") or f".{our_host}." in address.host:
        detail = _("It begins with our name, but belongs to %s.") % address.host
        return Violation("our_name_extended", "", detail, True)
    if _resembles(address.host, our_host):
        return Violation("our_name_imitated", "", _("%s is not our name, but looks like it.") % address.host, True)
    return None


def _on_our_host(address: Address, prefix: str) -> Violation:
    slug = address.path.removeprefix(f"{prefix}/s/")
    if slug == address.path:
        return Violation("other_page", "", _("It leads to this service, but not to a code."), True)
    if not _SLUG.fullmatch(slug.rstrip("/")):
        return Violation("slug_altered", "", _("No code of ours is written like this: it was altered."), True)
    return Violation("not_our_address", "", _("It has our name, but is not written as we print our links."), True)


def _spelled(host: str) -> str:
    """Lower case, and what was encoded for the name service in its own letters."""
    labels = []
    for label in unicodedata.normalize("NFKC", host).lower().replace("。", ".").split("."):
        try:
            labels.append(label[4:].encode().decode("punycode") if label.startswith("xn--") else label)
        except UnicodeError:
            labels.append(label)
    return ".".join(labels)


def _resembles(host: str, ours: str) -> bool:
    seen, our_sight = _skeleton(host), _skeleton(ours)
    return seen == our_sight or (len(our_sight) >= _TYPED_WRONG_FROM and _one_apart(seen, our_sight))


def _skeleton(host: str) -> str:
    """What is seen at a glance: no marks over letters, one script, no difference between l, 1 and I."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", host) if not unicodedata.combining(letter))
    seen = plain.translate(_PASSES_FOR).strip(".").replace("-", "")
    for pair, letter in _PAIRS:
        seen = seen.replace(pair, letter)
    return seen


def _one_apart(one: str, other: str) -> bool:
    """Whether one letter was changed, added or left out, or two neighbours stand the wrong way round."""
    if abs(len(one) - len(other)) > 1:
        return False
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    rests = one[same:], other[same:]
    swapped = rests[0][:2][::-1] == rests[1][:2] and rests[0][2:] == rests[1][2:]
    changed = rests[0][1:] == rests[1][1:]
    return swapped or changed or rests[0][1:] == rests[1] or rests[0] == rests[1][1:]
