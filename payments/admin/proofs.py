"""The proof of an order in the admin: one page, and the same as a file."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from events.local_times import told
from orders.models import Order
from payments.books.proof import proof_of
from payments.books.timeline import order_steps


def proof_file(order: Order) -> HttpResponse:
    """Every fact, as JSON."""
    content = json.dumps(proof_of(order), cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
    name = f"order-{order.short_code}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(content, content_type="application/json; charset=utf-8", headers=headers)


def proof_page(
    request: HttpRequest, order: Order, *, pages: Collection[int] | None, zone: str, frame: Mapping[str, Any]
) -> HttpResponse:
    """The same, to read: times on the clock `zone`, the steps of `pages` (None: all), in the `frame` of the admin."""
    proof = proof_of(order)
    context = {
        **frame,
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
        "steps": [(told(step.at, zone), step) for step in order_steps(order, pages=pages, whole=True)],
        "zone": zone,
    }
    return TemplateResponse(request, "admin/foyer/proof.html", context)
