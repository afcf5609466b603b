"""The forms that put something in the cart: of an event's page, a room's, a product's.

htmx gets the page's own partial, others the cart; a refusal is 422 with the reason.
"""

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from accounts.requests import Request, form_of
from accounts.visitors import keep_cart, opens_carts, visitor_of
from cart.adding import PurchaseRefusal, TimeRefusal, put_booking_in_cart, put_in_cart, put_items_in_cart
from events.forms import BadQuantity, read_quantities, whole_number
from events.models import Calendar, CalendarEntry
from events.programme.listing import events_context
from events.programme.views import entry_context
from events.rooms import RoomHours
from events.rooms.context import room_context
from events.rooms.reading import BadTime, read_time
from events.rooms.showing import RoomWanted, Standing, Time
from ledger import clock
from market.shop.views import product_context, public_product


@form_of(lambda pk: reverse("entry", args=[pk, "event"]))
def buy(request: Request, pk: int) -> HttpResponse:
    """Put tickets in the cart. htmx gets the partial `buy`, others a redirect; a refusal is 422 with the reason."""
    entry = get_object_or_404(CalendarEntry.objects.public().with_page().prefetch_related("ticket_types"), pk=pk)
    user = request.user
    if not isinstance(user, User):
        to_login = redirect_to_login(entry.get_absolute_url())
        return HttpResponseClientRedirect(to_login.url) if request.htmx else to_login
    now = clock.now()
    chosen = None
    try:
        chosen = read_quantities(request.POST)
        added = put_in_cart(user, entry, chosen, at=now)
    except (PurchaseRefusal, BadQuantity) as refusal:
        context = entry_context(entry, at=now, chosen=chosen) | {"refusal": str(refusal)}
        template = "events/entry.html#buy" if request.htmx else "events/entry.html"
        return render(request, template, context, status=422)
    if request.htmx:
        return render(request, "events/entry.html#buy", entry_context(entry, at=now) | {"added": added})
    messages.success(
        request, ngettext("%(n)s ticket added to cart.", "%(n)s tickets added to cart.", added) % {"n": added}
    )
    return redirect("cart")


@form_of(lambda page_slug, slug: reverse("calendar", args=[page_slug, slug]))
@opens_carts
def book(request: Request, page_slug: str, slug: str) -> HttpResponse:
    """Put a time in the cart. htmx gets the partial `room`, others the cart; a refusal is 422 with free times near."""
    calendar = get_object_or_404(
        Calendar.objects.select_related("page"), page__slug=page_slug, page__is_published=True, slug=slug
    )
    hours, now = RoomHours.of(calendar), clock.now()
    wanted = RoomWanted.of(request.GET.dict())
    if hours.rules is None or not hours.calendar.is_bookable:  # switched off while the page was open
        messages.error(request, _("This room cannot be booked here."))
        back = redirect(calendar)
        return HttpResponseClientRedirect(back.url) if request.htmx else back
    visitor = visitor_of(request, with_cart=True)
    try:
        span = read_time(request.POST.get("time", ""))
        booking = put_booking_in_cart(visitor, calendar, span.start, span.end, at=now)
    except (PurchaseRefusal, BadTime) as refusal:
        context = room_context(hours, visitor, wanted, at=now)
        context |= {"refusal": str(refusal), "nearest": _nearest(hours, refusal)}
        if request.htmx:
            return render(request, "events/room.html#room", context, status=422)
        return render(request, "events/room.html", context | events_context(calendar, at=now), status=422)
    keep_cart(request, visitor)
    added = Time(hours, hours.day_of(booking.starts_at), span, Standing.IN_CART)
    if request.htmx:
        wanted = RoomWanted(view=wanted.view, day=wanted.day)  # the start that was chosen is done with
        context = room_context(hours, visitor, wanted, at=now)
        return render(request, "events/room.html#room", context | {"added": added})
    messages.success(request, _("%(room)s, %(when)s: in your cart.") % {"room": calendar.name, "when": added.when})
    return redirect("cart")


def _nearest(hours: RoomHours, refusal: Exception) -> list[Time]:
    spans = refusal.nearest if isinstance(refusal, TimeRefusal) else []
    return [Time(hours, hours.day_of(span.start), span, Standing.FREE) for span in spans]


@never_cache
@form_of(lambda page_slug, slug: reverse("product", args=[page_slug, slug]))
@opens_carts
def buy_product(request: Request, page_slug: str, slug: str) -> HttpResponse:
    """Put pieces in the cart. htmx gets the partial `buy`, others a redirect; a refusal is 422 with the reason."""
    shown = public_product(page_slug, slug)
    number = 1
    try:
        number = whole_number(request.POST.get("quantity", ""))
        visitor = visitor_of(request, with_cart=True)
        added = put_items_in_cart(visitor, shown, number, at=clock.now())
    except (PurchaseRefusal, BadQuantity) as refusal:
        template = "market/product.html#buy" if request.htmx else "market/product.html"
        return render(request, template, product_context(shown, number) | {"refusal": str(refusal)}, status=422)
    keep_cart(request, visitor)
    if request.htmx:
        return render(request, "market/product.html#buy", product_context(shown) | {"added": added})
    messages.success(request, _("%(n)s × %(name)s added to cart.") % {"n": added, "name": shown.name})
    return redirect("cart")
