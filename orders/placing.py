"""Placing an order: the cart is read under lock, priced from what was locked, and claimed all or nothing."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.utils import IntegrityError

from accounts.models import User
from cart.contents import Cart, TicketLine, build, digest
from events.models import CalendarEntry, Merchant, Page, Ticket, TicketType
from events.transitions import mark_reserved
from ledger.locking import retried
from ledger.money import Money, total
from ledger.signing import sign
from orders.fulfilling import fulfil
from orders.models import LineKind, Order, OrderLine
from orders.states import OrderState


class OrderRefusal(Exception):
    """No order was made and nothing was claimed."""


class EmptyCart(OrderRefusal):
    """There is nothing to order."""


class CartChanged(OrderRefusal):
    """Lines or prices differ from what the buyer saw."""


class ShortLines(OrderRefusal):
    """Some lines cannot be had whole; the cart names each and offers to go on without them."""


class SeveralMerchants(OrderRefusal):
    """The money would go to more than one merchant, or in more than one currency: page by page."""


class NoMerchant(OrderRefusal):
    """A page with something to pay has nobody to take the money."""


class OrderAwaiting(OrderRefusal):
    """The buyer has an order of one of these pages to pay or to cancel first."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.code)
        self.order = order


@dataclass(frozen=True)
class Claim:
    """A line and the tickets of it that this order takes."""

    line: TicketLine

    @property
    def tickets(self) -> Sequence[Ticket]:
        return self.line.tickets[: self.line.fits]

    @property
    def amount(self) -> Money:
        return self.line.price * self.line.fits


def place(user: User, *, page: Page | None, token: UUID, seen: str, at: datetime) -> Order:
    """Order what `user`'s cart holds (of `page`, or all of it) in one transaction; the order, or an OrderRefusal.

    `token` is the form's: the same token is the same order, however often it comes. `seen` is the digest of what the
    buyer agreed to pay: the whole cart, or what is left of it without its short lines. Total 0 is confirmed at once.
    """
    try:
        return retried(lambda: _place(user, page, token, seen, at))
    except IntegrityError as error:
        # Two requests with one token at once: the other one was first. Anything else is a real fault.
        order = Order.objects.filter(cart_token=token).first()
        if order is None:
            raise error
        if order.user_id != user.pk:
            raise CartChanged from error
        return order


def _place(user: User, page: Page | None, token: UUID, seen: str, at: datetime) -> Order:
    user.lock()  # one checkout of a buyer at a time
    known = list(Order.objects.filter(Q(cart_token=token) | Q(user=user, state=OrderState.AWAITING_PAYMENT)))
    placed = next((order for order in known if order.cart_token == token), None)
    if placed is not None:
        if placed.user_id != user.pk:
            raise CartChanged
        return placed
    cart = _locked_cart(user, page, at)
    if not cart.groups:
        raise EmptyCart
    if known:
        pages = [group.page.pk for group in cart.groups]
        awaiting = Order.objects.of_user(user).awaiting().of_pages(pages).first()
        if awaiting is not None:
            raise OrderAwaiting(awaiting)
    claims = [Claim(line) for line in cart.lines if line.fits]
    if not hmac.compare_digest(seen.encode(), digest((claim.line, claim.line.fits) for claim in claims).encode()):
        raise ShortLines if hmac.compare_digest(seen.encode(), cart.digest().encode()) else CartChanged
    if not claims:
        raise ShortLines
    return _claim(user, cart, claims, token, at)


def _locked_cart(user: User, page: Page | None, at: datetime) -> Cart:
    """The cart built from locked rows: entries, then types, then the tickets themselves, each by primary key."""
    pending = Ticket.objects.pending_for(user)
    if page is not None:
        pending = pending.of_page(page)
    keys = list(pending.values_list("pk", "entry_id", "ticket_type_id"))
    entries = {
        entry.pk: entry
        for entry in CalendarEntry.objects.filter(pk__in={entry for _, entry, _ in keys})
        .select_related("calendar__page__merchant")
        .locked()
    }
    types = {row.pk: row for row in TicketType.objects.filter(pk__in={type_ for _, _, type_ in keys if type_}).locked()}
    tickets = list(Ticket.objects.pending_for(user).filter(pk__in=[pk for pk, _, _ in keys]).locked())
    for ticket in tickets:
        ticket.entry = entries[ticket.entry_id]
        ticket.ticket_type = types[ticket.ticket_type_id] if ticket.ticket_type_id else None
    return build(tickets, at=at)


def _claim(user: User, cart: Cart, claims: Sequence[Claim], token: UUID, at: datetime) -> Order:
    merchant, amount = _payee(cart, claims)
    sign(who=f"user:{user.pk}", why="checkout")
    order = Order.objects.create(
        user=user,
        merchant=merchant,
        total=amount.amount,
        currency=amount.currency,
        cart_token=token,
        placed_at=at,
        hold_until=at + timedelta(minutes=settings.HOLD_MINUTES),
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            page=claim.line.entry.calendar.page,
            kind=LineKind.TICKET,
            entry=claim.line.entry,
            ticket_type=claim.line.ticket_type,
            name=claim.line.full_name,
            unit_price=claim.line.price.amount,
            currency=claim.line.price.currency,
            quantity=claim.line.fits,
        )
        for claim in claims
    )
    order.first_page = claims[0].line.entry.calendar.page  # at hand, so the payment page need not read it again
    prices = {ticket.pk: claim.line.price.amount for claim in claims for ticket in claim.tickets}
    mark_reserved(prices, order_id=order.pk)
    if not order.total:
        fulfil(order, at=at)
    return order


def _payee(cart: Cart, claims: Sequence[Claim]) -> tuple[Merchant | None, Money]:
    """Who takes the money for `claims`, and how much it is; raises when that has no one answer."""
    paid = [claim for claim in claims if claim.amount.amount]
    if not paid:
        return None, Money(Decimal(0), claims[0].line.price.currency)
    payees = {group.page.pk: group.merchant for group in cart.groups}
    merchants = {payees[claim.line.entry.calendar.page_id] for claim in paid}
    currencies = {claim.amount.currency for claim in claims}
    if len(merchants) > 1 or len(currencies) > 1:
        raise SeveralMerchants
    merchant, currency = merchants.pop(), currencies.pop()
    if merchant is None or merchant.currency != currency or not merchant.is_usable():
        raise NoMerchant
    return merchant, total((claim.amount for claim in claims), currency)
