"""What a person can put right: a refusal with a status, a code for programs and a sentence for people.

It becomes a problem document (RFC 9457) by the API's exception handler; raised anywhere below a view.
"""

from __future__ import annotations

from rest_framework.exceptions import APIException


class Refused(APIException):
    """A refusal that names its own status and code. `retry_after_s` becomes the header Retry-After.

    `more` are members of the problem for programs, beside the usual ones.
    """

    def __init__(self, status: int, code: str, detail: str, *, retry_after_s: int | None = None, **more: str) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.more = more
        if retry_after_s is not None:
            self.wait = retry_after_s
