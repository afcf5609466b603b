"""The proof of an order in the admin: one page, and the same as a file."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from events.local_times import told
from events.scoping import team_of
from payments.books.proof import proof_of
from payments.books.timeline import order_steps

if TYPE_CHECKING:
    from payments.admin.orders import OrderAdmin


def proof_view(model_admin: "OrderAdmin", request: HttpRequest, pk: int, form: str) -> HttpResponse:
    """The page, or the file, for those who see the money of the order whole; else there is no such thing."""
    order = model_admin.get_queryset(request).select_related("user", "merchant").filter(pk=pk).first()
    if order is None or not order.has_proof:
        raise Http404
    proof = proof_of(order)
    if form == "json":
        content = json.dumps(proof, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
        name = f"order-{order.short_code}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
        return HttpResponse(content, content_type="application/json; charset=utf-8", headers=headers)
    zone = model_admin.zone_of(order)
    team = team_of(request)
    pages = None if team.is_superuser else team.pages(model_admin.sees)
    steps = [(told(step.at, zone), step) for step in order_steps(order, pages=pages, whole=True)]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": order.short_code,
        "order": order,
        "proof": proof,
        "answers": [
            {
                **answer,
                "when": told(datetime.fromisoformat(answer["at"]), zone),
                "body": json.dumps(answer["body"], indent=1, ensure_ascii=False),
            }
            for answer in proof["what_sumup_said"]
        ],
        "steps": steps,
        "zone": zone,
        "opts": model_admin.opts,
    }
    return TemplateResponse(request, "admin/foyer/proof.html", context)
