"""Call off an event in the admin: first what it would do, then the reason and whether the money goes back."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from events.admin.reasons import ReasonForm
from events.models import CalendarEntry
from events.organising.calling_off import call_off, effect_of
from events.organising.desk import DeskAdmin
from events.scoping import PAY_BACK
from ledger.arrows import IllegalTransition

BACK, KEPT = "back", "kept"


class CallOffForm(ReasonForm):
    money = forms.ChoiceField(
        label=_("What was paid"),
        choices=[(BACK, _("is owed to the buyers")), (KEPT, _("is kept (agreed with the buyers)"))],
        initial=BACK,
        widget=forms.RadioSelect,
    )
    field_order = ("money", "reason")


def calling_off_view(model_admin: DeskAdmin[CalendarEntry], request: HttpRequest, entry: CalendarEntry) -> HttpResponse:
    """Show what it would do (GET), then do it (POST); who may change `entry` has been asked already."""
    may_send = model_admin.within(request, PAY_BACK, entry)
    form = CallOffForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        back = form.cleaned_data["money"] == BACK
        try:
            why = form.cleaned_data["reason"]
            done = call_off(entry.pk, money_back=back, who=f"user:{request.user.pk}", why=why, may_send=may_send)
        except IllegalTransition:
            messages.error(request, gettext("“%(title)s” is not published (any more).") % {"title": entry.title})
        else:
            words = ngettext(
                "“%(title)s” is called off; %(n)d buyer is told by mail.",
                "“%(title)s” is called off; %(n)d buyers are told by mail.",
                done.orders,
            )
            messages.success(request, words % {"title": entry.title, "n": done.orders})
            if back and done.worth.amount:
                if may_send:
                    return redirect("admin:payments_batch_start", entry.pk)
                messages.info(request, gettext("Those who may send the money back are told by mail, at once."))
        return redirect("admin:events_calendarentry_change", entry.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Call off"),
        "subtitle": entry.title,
        "entry": entry,
        "effect": effect_of(entry),
        "may_send": may_send,
        "form": form,
        "opts": model_admin.opts,
    }
    return TemplateResponse(request, "admin/foyer/call_off.html", context, status=422 if form.is_bound else 200)
