"""Placing an order: the cart is read under lock, priced from what was locked, and claimed all or nothing."""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models import BigIntegerField, F, Q, Value
from django.db.utils import IntegrityError

from accounts.models import User
from accounts.visitors import Visitor
from cart.contents import Cart, build, digest
from cart.lines import BookingLine, Line
from cart.reading import with_rooms
from events.models import Calendar, CalendarEntry, Merchant, Page, Ticket, TicketType
from events.states import EntryState, LineKind
from events.transitions import mark_reserved
from ledger.locking import locked_by_pk, retried
from ledger.money import Money, total
from ledger.signing import sign
from market.models import Product, ProductItem
from orders.fulfilling import fulfil
from orders.models import Order, OrderLine
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
    """The money would go to more than one merchant, or in more than one currency: see `Cart.parts`."""


class OrderAwaiting(OrderRefusal):
    """The buyer has an order of one of these pages to pay or to cancel first."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.code)
        self.order = order


@dataclass(frozen=True)
class Claim:
    """A line and the rows of it that this order takes."""

    line: Line

    @property
    def rows(self) -> list[int]:
        return [row.pk for row in self.line.rows[: self.line.fits]]

    @property
    def amount(self) -> Money:
        return self.line.price * self.line.fits


def place(user: User, *, pages: Collection[Page] | None, token: UUID, seen: str, at: datetime) -> Order:
    """Order what `user`'s cart holds (of `pages`, or all of it) in one transaction; the order, or an OrderRefusal.

    `token` is the form's: the same token is the same order, however often it comes. `seen` is the digest of what the
    buyer agreed to pay: the whole cart, or what is left of it without its short lines. Total 0 is confirmed at once.
    """
    try:
        return retried(lambda: _place(user, pages, token, seen, at))
    except IntegrityError as error:
        # Two requests with one token at once: the other one was first. Anything else is a real fault.
        order = Order.objects.filter(cart_token=token).first()
        if order is None:
            raise error
        if order.user_id != user.pk:
            raise CartChanged from error
        return order


def _place(user: User, pages: Collection[Page] | None, token: UUID, seen: str, at: datetime) -> Order:
    user.lock()  # one checkout of a buyer at a time
    known = list(Order.objects.filter(Q(cart_token=token) | Q(user=user, state=OrderState.AWAITING_PAYMENT)))
    placed = next((order for order in known if order.cart_token == token), None)
    if placed is not None:
        if placed.user_id != user.pk:
            raise CartChanged
        return placed
    cart = _locked_cart(user, pages, at)
    if not cart.groups:
        raise EmptyCart
    if known:
        _refuse_second(user, cart)
    return _claim(user, cart, _agreed(cart, seen), token, at)


def _refuse_second(user: User, cart: Cart) -> None:
    """One order of the same pages is paid or ended before the next is placed."""
    awaiting = Order.objects.of_user(user).awaiting().of_pages([group.page.pk for group in cart.groups]).first()
    if awaiting is not None:
        raise OrderAwaiting(awaiting)


def _agreed(cart: Cart, seen: str) -> list[Claim]:
    """What is claimed of `cart`, when that is what the buyer has seen; raises when it is not, or nothing is left."""
    claims = [Claim(line) for line in cart.lines if line.fits]
    if not hmac.compare_digest(seen.encode(), digest((claim.line, claim.line.fits) for claim in claims).encode()):
        raise ShortLines if hmac.compare_digest(seen.encode(), cart.digest().encode()) else CartChanged
    if not claims:
        raise ShortLines
    return claims


def _locked_cart(user: User, pages: Collection[Page] | None, at: datetime) -> Cart:
    """The cart built from locked rows: what they count against first, table by table, then the rows themselves."""
    keys = _pending_keys(user, pages)
    tickets, bookings, items = keys[LineKind.TICKET], keys[LineKind.BOOKING], keys[LineKind.PRODUCT]
    locked_by_pk(Calendar.objects.all(), bookings.parents)
    entries = locked_by_pk(
        CalendarEntry.objects.select_related("calendar__page__merchant"), tickets.parents | bookings.pks
    )
    _note_types(entries, tickets.untyped)
    types = locked_by_pk(TicketType.objects.all(), tickets.types)
    products = locked_by_pk(Product.objects.select_related("page__merchant"), items.parents)
    own_tickets = list(locked_by_pk(Ticket.objects.pending_for(user), tickets.pks).values())
    own_items = list(locked_by_pk(ProductItem.objects.pending_for(user), items.pks).values())
    for ticket in own_tickets:
        ticket.entry = entries[ticket.entry_id]
        ticket.ticket_type = types[ticket.ticket_type_id] if ticket.ticket_type_id else None
    for item in own_items:
        item.product = products[item.product_id]
    own_bookings = [
        row
        for pk, row in entries.items()
        if pk in bookings.pks and row.state == EntryState.PENDING and row.user_id == user.pk
    ]
    return build(with_rooms(own_tickets, own_bookings, own_items), at=at)


def _note_types(entries: Mapping[int, CalendarEntry], untyped: Collection[int]) -> None:
    """Whether events that are bought at their own price sell by types by now: one query, where there are such."""
    if untyped:
        with_types = set(TicketType.objects.filter(entry__in=untyped).values_list("entry", flat=True))
        for pk in untyped:
            entries[pk].has_types = pk in with_types


@dataclass
class Keys:
    """The pending rows of one kind, what they count against (an event, a room, a product), and tickets' types."""

    pks: set[int] = field(default_factory=set)
    parents: set[int] = field(default_factory=set)
    types: set[int] = field(default_factory=set)
    #: Events of tickets that have no type.
    untyped: set[int] = field(default_factory=set)


def _pending_keys(user: User, pages: Collection[Page] | None) -> dict[LineKind, Keys]:
    """The keys of each pending row of `user`, by kind: one query."""
    nothing = Value(None, output_field=BigIntegerField())
    tickets = Ticket.objects.pending_for(user)
    bookings = CalendarEntry.objects.in_cart_of(Visitor(user=user))
    items = ProductItem.objects.pending_for(user)
    if pages is not None:
        tickets, items = tickets.of_pages(pages), items.of_pages(pages)
        bookings = bookings.filter(calendar__page__in=pages)
    names = ("kind_", "pk", "of_", "type_")
    parts = [
        tickets.annotate(kind_=Value(LineKind.TICKET), of_=F("entry_id"), type_=F("ticket_type_id")),
        bookings.annotate(kind_=Value(LineKind.BOOKING), of_=F("room_id"), type_=nothing),
        items.annotate(kind_=Value(LineKind.PRODUCT), of_=F("product_id"), type_=nothing),
    ]
    first, *others = [rows.order_by().values_list(*names) for rows in parts]
    keys = {kind: Keys() for kind in LineKind}
    for kind, pk, parent, type_ in first.union(*others, all=True):
        of_kind = keys[LineKind(kind)]
        of_kind.pks.add(pk)
        of_kind.parents.add(parent)
        if type_:
            of_kind.types.add(type_)
        else:
            of_kind.untyped.add(parent)
    return keys


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
            page=claim.line.page,
            kind=claim.line.kind,
            name=claim.line.full_name,
            unit_price=claim.line.price.amount,
            currency=claim.line.price.currency,
            quantity=claim.line.fits,
            **claim.line.sold,
        )
        for claim in claims
    )
    order.first_page = claims[0].line.page  # at hand, so the payment page need not read it again
    _reserve(order, claims)
    if not order.total:
        fulfil(order, at=at)
    return order


def _reserve(order: Order, claims: Sequence[Claim]) -> None:
    """Claim the rows of all lines, each kind in its own table, at the prices that were read under the locks."""
    prices: dict[LineKind, dict[int, Decimal]] = {kind: {} for kind in LineKind}
    for claim in claims:
        prices[claim.line.kind] |= dict.fromkeys(claim.rows, claim.line.price.amount)
        if isinstance(claim.line, BookingLine) and claim.line.blocks != claim.line.booking.blocks:
            # Set-up or clean-up has another length since the time was put in the cart.
            CalendarEntry.objects.filter(pk=claim.line.booking.pk).update(blocks=claim.line.blocks)
    mark_reserved(prices[LineKind.TICKET], order_id=order.pk)
    mark_reserved(prices[LineKind.BOOKING], order_id=order.pk, of=CalendarEntry)
    mark_reserved(prices[LineKind.PRODUCT], order_id=order.pk, of=ProductItem)


def _payee(cart: Cart, claims: Sequence[Claim]) -> tuple[Merchant | None, Money]:
    """Who takes the money for `claims`, and how much it is; raises when that has no one answer."""
    paid = [claim for claim in claims if claim.amount.amount]
    if not paid:
        return None, Money(Decimal(0), claims[0].line.price.currency)
    payees = {group.page.pk: group.merchant for group in cart.groups}
    # What costs something and finds no merchant in its currency has no line that fits: see cart/reading.py.
    merchants = {merchant for claim in paid if (merchant := payees[claim.line.page.pk]) is not None}
    currencies = {claim.amount.currency for claim in claims}
    if len(merchants) != 1 or len(currencies) != 1:
        raise SeveralMerchants
    merchant, currency = merchants.pop(), currencies.pop()
    return merchant, total((claim.amount for claim in claims), currency)
