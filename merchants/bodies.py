"""What a request may carry: JSON and forms with a photo, each refused by its length before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser, MultiPartParser

from merchants.refusals import Refused

_FORM_FIELDS_BYTES = 65_536  # What the other fields and the form's own words may take beside the photo.


class Json(BaseParser):
    """JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Not a subclass of DRF's parser on purpose: DRF would read the body before asking us, and what Django raises for one
    that is too large is answered as an error of ours (500).
    """

    media_type = JSONParser.media_type

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        if _length(parser_context) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise Refused(413, "body_too_large", _("The request is too large."))
        try:
            return JSONParser().parse(stream, media_type, dict(parser_context or {}))
        except RecursionError:
            raise ParseError(_("The JSON is nested too deeply.")) from None
        except ParseError as broken:
            raise ParseError(_("The JSON cannot be read: %(why)s") % {"why": broken.__cause__ or broken}) from None


class Form(MultiPartParser):
    """A form with a photo in it."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        if _length(parser_context) > settings.PHOTO_BYTES_MAX + _FORM_FIELDS_BYTES:
            raise Refused(413, "photo_too_large", _("The photo is too large."))
        try:
            return super().parse(stream, media_type, parser_context)
        except RequestDataTooBig:  # Everything but the files counts here.
            raise Refused(413, "body_too_large", _("The request is too large.")) from None
        except (TooManyFieldsSent, TooManyFilesSent):
            raise Refused(400, "form_too_large", _("The form has too many fields.")) from None


def _length(context: Mapping[str, Any] | None) -> int:
    """The announced length; a body without one is not read by WSGI at all."""
    text = context["request"].META.get("CONTENT_LENGTH", "") if context else ""
    return int(text) if text.isdigit() else 0
