"""Who is calling: a bearer token names one User in one Shop, and everything a request may touch follows from that."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _
from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from merchants import devices
from merchants.models import Shop, Staff, Token, User


class ShopTokenAuthentication(TokenAuthentication):
    """Knox's bearer tokens, with `request.auth` our Token. One whose holder has left the shop is refused."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, Token]:
        try:
            found: tuple[User, Token] = super().authenticate_credentials(token)
        except UnicodeDecodeError:  # The library decodes whatever stands in the header.
            raise AuthenticationFailed(_("Invalid token.")) from None
        return found

    def _cleanup_token(self, auth_token: Token) -> bool:
        """Whether it has expired. Knox's own would read all of the holder's tokens; `expired` forgets what is old."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()

    def validate_user(self, auth_token: Token) -> tuple[User, Token]:
        user, token = super().validate_user(auth_token)
        try:
            staff = Staff.objects.select_related("shop").get(user=user, shop_id=token.shop_id)
        except Staff.DoesNotExist:
            raise AuthenticationFailed(_("This phone no longer works for this shop."), code="not_staff") from None
        staff.user, token.staff = user, staff  # What every view asks for next.
        devices.note_use(token, now=timezone.now())
        return user, token


def staff_of(request: Request) -> Staff:
    """The caller's role in the shop of her token, as it was when she was let in: the root of every look-up."""
    token: Token = request.auth  # type: ignore[assignment]  # The stubs know only DRF's own tokens.
    assert token.staff is not None, "an authenticated token knows its holder's role"
    return token.staff


def shop_of(request: Request) -> Shop:
    return staff_of(request).shop


def require(staff: Staff, *roles: str) -> None:
    """Refuses with 403 `role_too_low` a caller whose role is none of these."""
    if staff.role not in roles:
        raise PermissionDenied(_("Your role in this shop does not allow this."), code="role_too_low")
