"""How every API answer looks: RFC 9457 problems, cursor pages, and their place in the OpenAPI document.

The apps never import this module; settings and urls name it by its dotted path.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import exception_handler
from drf_standardized_errors.types import ErrorResponse
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

PROBLEM = "application/problem+json"


class ProblemFormatter(ExceptionFormatter):
    """RFC 9457: type, title, status, detail, and our `code`; field errors stand in `errors` with their own codes."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        status = self.exc.status_code
        first = error_response.errors[0]
        problem = problem_body(status, code=first.code, detail=first.detail)
        if isinstance(self.exc, ValidationError):
            fields = [
                {"field": error.attr and _writable(error.attr), "code": error.code, "detail": _writable(error.detail)}
                for error in error_response.errors
            ]
            # One refusal that names no field is the problem itself; anything else is a list of field errors.
            if any(error["field"] not in (None, "non_field_errors") for error in fields):
                problem.update(code="invalid", detail=_("Some fields are not right."), errors=fields)
        return problem | getattr(self.exc, "more", {})


def problem_handler(exc: Exception, context: Any) -> Response | None:
    """DRF's exception handler: the body is a problem, and so is its content type."""
    response = exception_handler(exc, context)
    if response is not None:
        response.content_type = PROBLEM
    return response


def problem_body(status: int, *, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:pushcart:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _writable(detail),
        "code": code,
    }


def _writable(text: str) -> str:
    """The text, a question mark for each half of a surrogate pair: JSON can name one, UTF-8 cannot write it back."""
    return text.encode(errors="replace").decode()


def _problem(status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse(problem_body(status, code=code, detail=detail), status=status, content_type=PROBLEM)


def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """For addresses that no view answers; the customer's pages have polite pages of their own."""
    return _problem(404, "not_found", _("There is nothing at this address."))


@csrf_exempt  # Nothing happens here, and a page about cookies would be no answer.
def unknown_address(request: HttpRequest, address: str) -> JsonResponse:
    return not_found(request)


def server_error(request: HttpRequest) -> JsonResponse:
    return _problem(500, "error", _("Something is wrong on our side; nothing was changed by this request."))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return _problem(400, "bad_request", _("The request could not be read."))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return _problem(403, "permission_denied", _("This is not allowed."))


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: no address or question of ours holds a NUL, and PostgreSQL takes none in a text.

    What stands in a body is refused by the fields themselves.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info:
            return not_found(request)
        if "%00" in request.META.get("QUERY_STRING", ""):
            return bad_request(request)
        return get_response(request)

    return answer


class Pages(CursorPagination):
    """Keyset pages, newest first: {"next", "previous", "results"}. Never an OFFSET, never a COUNT."""

    ordering = "-id"
    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The position is an id, and no two rows share one: whatever else stands there, we have never given."""
        cursor: Cursor | None = super().decode_cursor(request)
        if cursor is not None and cursor.offset:
            raise NotFound(self.invalid_cursor_message)
        if cursor is not None and cursor.position is not None:
            try:
                UUID(str(cursor.position))
            except ValueError:
                raise NotFound(self.invalid_cursor_message)
        return cursor


class ShopTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document says that a bearer token is sent."""

    target_class = "merchants.tokens.ShopTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class Filters(DjangoFilterBackend):  # type: ignore[misc]  # The library has no types.
    """A list that nobody filters is answered without the form that would read the filters: none of ours is required."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        if request.query_params.keys() <= {Pages.cursor_query_param, Pages.page_size_query_param}:
            return queryset
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


def document_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular post-processing: every operation may also answer a problem."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = {
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "What a program may act on."},
            "since": {"type": "string", "format": "date", "description": "Of `archived`: the first day that is here."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "detail"],
                    "properties": {
                        "field": {"type": "string"},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    }
    answer = {
        "description": "A problem.",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path in result.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"].setdefault("default", answer)
    return result
