"""An order's life in plain words: the order, its payments, its tickets and what a person had to decide."""

import re
from collections.abc import Collection, Iterable
from functools import reduce
from operator import attrgetter, or_

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import User
from events.local_times import told
from events.models import CalendarEntry, Ticket
from events.organising.telling import SENTENCES, fields, people_of, subjects
from events.states import EntryKind
from ledger.models import History
from ledger.telling import Sentence, Step, Words, actor, steps
from market.models import ProductItem
from orders.models import Order
from payments.models import Case, Checkout, Refund

ORDER = {
    "paid": Sentence("The order was paid.", "%(count)d orders were paid."),
    "expired": Sentence("The time to pay ran out: the order was closed.", "%(count)d orders were closed."),
    "cancelled": Sentence("The order was cancelled.", "%(count)d orders were cancelled."),
}
CHECKOUT = {
    "open": Sentence("Payment %(names)s could be made at SumUp.", "Payments %(names)s could be made at SumUp."),
    "refused": Sentence("SumUp refused payment %(names)s.", "SumUp refused payments %(names)s."),
    "expired": Sentence("Payment %(names)s could no longer be made.", "Payments %(names)s could no longer be made."),
    "paid": Sentence("SumUp took the money of payment %(names)s.", "SumUp took the money of payments %(names)s."),
    "mismatch": Sentence(
        "SumUp reports a payment %(names)s that is not what was asked for.",
        "SumUp reports payments %(names)s that are not what was asked for.",
    ),
}
REFUND = {
    "sending": Sentence("Refund %(names)s was sent to SumUp.", "Refunds %(names)s were sent to SumUp."),
    "succeeded": Sentence("The money of refund %(names)s went back.", "The money of refunds %(names)s went back."),
    "failed": Sentence("Refund %(names)s did not go back.", "Refunds %(names)s did not go back."),
    "unknown": Sentence(
        "Nobody knows yet what became of refund %(names)s.", "Nobody knows yet what became of refunds %(names)s."
    ),
    "withdrawn": Sentence("Refund %(names)s was withdrawn.", "Refunds %(names)s were withdrawn."),
}
#: Bookings and pieces of products; history knows a booking as an entry, whose events have sentences of their own.
THINGS = {
    "booking": (_lazy("Booking"), {
        "reserved": _lazy("Booking %(names)s is held for the order."),
        "confirmed": _lazy("Booking %(names)s is confirmed."),
        "checked_in": _lazy("Booking %(names)s has begun."),
        "cancelled": _lazy("Booking %(names)s was cancelled and its time is free."),
        "refund_due": _lazy("The money for booking %(names)s is owed to the buyer."),
        "refunded": _lazy("Booking %(names)s was paid back."),
    }),
    "productitem": (_lazy("Product"), {
        "reserved": _lazy("%(names)s: held for the order."),
        "confirmed": _lazy("%(names)s: to be handed out."),
        "checked_in": _lazy("%(names)s: handed out."),
        "cancelled": _lazy("%(names)s: cancelled, and back in stock."),
        "refund_due": _lazy("%(names)s: its money is owed to the buyer."),
        "refunded": _lazy("%(names)s: paid back."),
    }),
}  # fmt: skip
GIVEN = Sentence("The goods were given for payment %(names)s.", "The goods were given for payments %(names)s.")


def order_steps(order: Order, *, pages: Collection[int] | None, whole: bool) -> list[Step]:
    """What happened to `order`, oldest first: all, or only the tickets of `pages`.

    `whole`: with what names amounts or words about the payment of the whole order.
    """
    checkouts = list(Checkout.objects.filter(order=order).order_by("pk"))
    refunds = list(Refund.objects.filter(checkout__order=order).order_by("pk"))
    names = _ticket_names(order, pages) | _thing_names(order, pages)
    names |= {("checkout", checkout.pk): str(number) for number, checkout in enumerate(checkouts, 1)}
    names |= {("refund", refund.pk): str(number) for number, refund in enumerate(refunds, 1)}
    rows = _history({("order", order.pk), *names})
    people = people_of(rows)
    words = Words(_sentences(), names, people, _subjects(), fields(), clock=lambda at: told(at, order.time_zone))
    people |= people_named(refund.requested_by for refund in refunds)
    life = [
        *_births(order, checkouts, whole=whole),
        *_asked_for(refunds, people, whole=whole),
        *steps(rows, words),
        *_cases(order, people, whole=whole),
    ]
    return sorted(life, key=attrgetter("at"))


def _history(subjects: Iterable[tuple[str, int]]) -> list[History]:
    """What history tells of `subjects`, oldest first; it knows a booking as an entry, and is answered as one."""
    wanted: dict[str, list[int]] = {}
    for subject, pk in subjects:
        wanted.setdefault("calendarentry" if subject == "booking" else subject, []).append(pk)
    of_any = reduce(or_, (Q(subject=subject, subject_id__in=pks) for subject, pks in sorted(wanted.items())))
    rows = list(History.objects.filter(of_any).order_by("id"))
    for row in rows:
        if row.subject == "calendarentry":
            row.subject = "booking"
    return rows


def _sentences() -> dict[tuple[str, str, str], Sentence]:
    own = {"order": ORDER, "checkout": CHECKOUT, "refund": REFUND}
    own |= {
        subject: {state: Sentence(str(words), str(words)) for state, words in states.items()}
        for subject, (_name, states) in THINGS.items()
    }
    moves = {(subject, "state", state): words for subject, states in own.items() for state, words in states.items()}
    return {**SENTENCES, **moves, ("checkout", "is_applied", "true"): GIVEN}


def _subjects() -> dict[str, str]:
    things = {subject: str(name) for subject, (name, _sentences_of) in THINGS.items()}
    return {**subjects(), **things, "checkout": _("Payment"), "order": _("Order")}


def _ticket_names(order: Order, pages: Collection[int] | None) -> dict[tuple[str, int], str]:
    """The tickets of an order, all or those of `pages`, by the beginning of their codes."""
    tickets = Ticket.objects.filter(order=order)
    if pages is not None:
        tickets = tickets.filter(entry__calendar__page_id__in=pages)
    return {("ticket", pk): f"{code[:4]} {code[4:8]}" for pk, code in tickets.values_list("pk", "code")}


def _thing_names(order: Order, pages: Collection[int] | None) -> dict[tuple[str, int], str]:
    """The bookings and pieces of products of an order, all or those of `pages`, with what they are called."""
    bookings = CalendarEntry.objects.filter(order=order, kind=EntryKind.BOOKING).select_related("calendar__page")
    items = ProductItem.objects.filter(order=order).select_related("product")
    if pages is not None:
        bookings, items = bookings.filter(calendar__page__in=pages), items.filter(product__page__in=pages)
    booked = {
        ("booking", row.pk): f"{row.calendar.name}, {told(row.starts_at, row.calendar.page.time_zone)}"
        for row in bookings
    }
    return {**booked, **{("productitem", row.pk): f"{row.product.name} {row.code[:4]}" for row in items}}


def refund_steps(refund: Refund) -> list[Step]:
    """What happened to one refund, oldest first."""
    rows = list(History.objects.of(refund))
    people = people_of(rows) | people_named([refund.requested_by])
    sentences = {("refund", "state", state): sentence for state, sentence in REFUND.items()}
    words = Words(sentences, {("refund", refund.pk): str(refund.money)}, people, {"refund": _("Refund")}, fields())
    return sorted([*_asked_for([refund], people, whole=True), *steps(rows, words)], key=attrgetter("at"))


def people_named(actors: Iterable[str]) -> dict[int, str]:
    """The names, else the addresses, of those of `actors` who are persons."""
    ids = {int(name.removeprefix("user:")) for name in actors if re.fullmatch(r"user:\d+", name)}
    return {user.pk: user.get_full_name() for user in User.objects.filter(pk__in=ids)}


def _asked_for(refunds: Iterable[Refund], people: dict[int, str], *, whole: bool) -> list[Step]:
    words = _("A refund of %(money)s was asked for.")
    return [
        Step(
            refund.requested_at,
            words % {"money": refund.money} if whole else _("A refund was asked for."),
            actor(refund.requested_by, people),
            refund.reason if whole else "",
        )
        for refund in refunds
    ]


def _births(order: Order, checkouts: list[Checkout], *, whole: bool) -> list[Step]:
    """What leaves no history row: rows that were made, and the wish to cancel."""
    placed = (
        _("The order was placed, %(total)s.") % {"total": order.money.or_free()}
        if whole
        else _("The order was placed.")
    )
    found = [Step(order.placed_at, placed, str(order.user))]
    for number, checkout in enumerate(checkouts, 1):
        found.append(Step(checkout.created_at, _("Payment %(number)d was begun.") % {"number": number}))
    if order.cancel_requested_at is not None:
        found.append(Step(order.cancel_requested_at, _("The buyer asked to cancel."), str(order.user)))
    return found


def _cases(order: Order, people: dict[int, str], *, whole: bool) -> list[Step]:
    found = []
    for case in Case.objects.filter(order=order).order_by("pk"):
        words = _("To decide: %(what)s.") % {"what": case.get_kind_display()}
        found.append(Step(case.opened_at, words, why=case.words if whole else ""))
        if case.closed_at is not None:
            who = actor(case.closed_by, people)
            found.append(Step(case.closed_at, _("Decided."), who, case.decision if whole else ""))
    return found
