"""Paying back a called-off event in the admin: what it comes to, a reason, its progress, to be stopped and resumed."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.requests import form_of
from events.admin.reasons import ReasonForm
from events.models import CalendarEntry
from events.scoping import SEE_EVENTS, team_of
from events.states import EntryState
from ledger import clock
from payments.admin.orders import DECIDE, MoneyAdmin
from payments.models import RefundBatch
from payments.refunds.batches import owed_orders, resume, shares_of, start, stop, sums
from payments.states import RefundState

#: Results that the page lists; the sums count all.
SHOWN = 200


def entry_for(request: HttpRequest, pk: int) -> CalendarEntry:
    """An event whose money the user may pay back: another page's is not found, who may only look is refused."""
    entry = CalendarEntry.objects.events().with_page().filter(pk=pk).first()
    team = team_of(request)
    if entry is None:
        raise Http404
    if not team.is_superuser:
        page = entry.calendar.page_id
        if page not in team.pages(SEE_EVENTS | DECIDE):
            raise Http404
        if page not in team.pages(DECIDE):
            raise PermissionDenied
    return entry


def start_view(desk: MoneyAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """What would go back, an order each (GET); begin (POST)."""
    entry = entry_for(request, pk)
    running = RefundBatch.objects.filter(entry=entry, finished_at=None).first()
    if running is not None:
        return redirect("admin:payments_batch", running.pk)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    shares = owed_orders(entry) if entry.state == EntryState.CANCELLED else []
    if form.is_bound and form.is_valid() and shares:
        who = f"user:{request.user.pk}"
        batch = start(entry, reason=form.cleaned_data["reason"], who=who, at=clock.now())
        return redirect("admin:payments_batch", batch.pk)
    context = {
        **desk.admin_site.each_context(request),
        "title": _("Pay back what is owed"),
        "subtitle": entry.title,
        "entry": entry,
        "shares": shares[:SHOWN],
        "count": len(shares),
        "sums": sums(shares),
        "batches": RefundBatch.objects.filter(entry=entry),
        "form": form,
        "opts": desk.opts,
    }
    return TemplateResponse(request, "admin/foyer/batch_start.html", context, status=422 if form.is_bound else 200)


def batch_view(desk: MoneyAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is; htmx asks for the progress alone."""
    batch = _batch(request, pk)
    shares = shares_of(batch)
    done = [share for share in shares if share.is_done]
    context = {
        **desk.admin_site.each_context(request),
        "title": _("Pay back what is owed"),
        "subtitle": batch.entry.title,
        "batch": batch,
        "entry": batch.entry,
        "shares": shares[:SHOWN],
        "count": len(shares),
        "done": len(done),
        "paid_back": sums(
            share for share in done if share.refund is not None and share.refund.state == RefundState.SUCCEEDED
        ),
        "sums": sums(shares),
        "opts": desk.opts,
    }
    part = request.headers.get("HX-Request") == "true"
    name = "_batch_progress.html" if part else "batch.html"
    return TemplateResponse(request, f"admin/foyer/{name}", context, headers={"Vary": "HX-Request"})


def _batch(request: HttpRequest, pk: int) -> RefundBatch:
    batch = RefundBatch.objects.select_related("entry__calendar__page").filter(pk=pk).first()
    if batch is None:
        raise Http404
    entry_for(request, batch.entry_id)
    return batch


@form_of(lambda pk, **_turn: reverse("admin:payments_batch", args=[pk]))
def turn_view(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Stop it, or go on."""
    batch = _batch(request, pk)
    turned = stop(batch, at=clock.now()) if name == "stop" else resume(batch)
    if turned:
        messages.success(request, _("Stopped: no further refund is begun.") if name == "stop" else _("It goes on."))
    else:
        messages.info(request, _("It had ended, or somebody was quicker."))
    return redirect("admin:payments_batch", batch.pk)
