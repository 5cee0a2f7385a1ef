"""What a vendor's camera read, whether it is hers, and a blank that becomes hers: `/api/v1/codes/mine`, `/bind`."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from merchants import batches, items, links, mine
from merchants.bodies import Json
from merchants.idempotency import header, once
from merchants.refusals import Refused
from merchants.shapes import Binding, CodeShape, MineShape, Scanned
from merchants.tokens import shop_of, staff_of


class MineView(APIView):
    """Is this mine?"""

    parser_classes = [Json]

    @extend_schema(operation_id="code_mine", request=Scanned, responses=MineShape)
    def post(self, request: Request) -> Response:
        """Says whether a scanned code is the shop's and takes payments. Of other shops' codes it tells nothing else."""
        asked = Scanned(data=request.data)
        asked.is_valid(raise_exception=True)
        answer = mine.tell(text=asked.validated_data["text"], shop=shop_of(request), now=timezone.now())
        return Response(MineShape(answer).data)


class BindView(APIView):
    """A blank code becomes one of the caller's shop."""

    parser_classes = [Json]

    @extend_schema(operation_id="code_bind", parameters=[header()], request=Binding, responses={201: CodeShape})
    def post(self, request: Request) -> Response:
        """Makes a printed blank a code of the shop, with the link that is printed on it: once, for whoever is first."""
        staff = staff_of(request)
        asked = Binding(data=request.data)
        asked.is_valid(raise_exception=True)
        fields = dict(asked.validated_data)
        slug = links.slug_of(fields.pop("text"))
        if slug is None:
            raise Refused(404, "code_unknown", _("This is no code of ours."))
        item_id, hers = fields.pop("item", None), fields.pop("attribute_to_me")
        item = items.find(staff.shop, item_id) if item_id else None
        if item_id and item is None:
            raise Refused(400, "item_unknown", _("There is no such item."))

        def effect() -> Response:
            code = batches.bind(
                slug=slug,
                shop=staff.shop,
                by=staff,
                item=item,
                staff=staff if hers else None,
                now=timezone.now(),
                **fields,
            )
            return Response(CodeShape(code).data, status=201)

        return once(request, effect)
