"""Order: what one visitor pays in one payment, and its lines as sold."""

import base64
import secrets
import uuid
from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

import pgtrigger
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from events.models import CalendarEntry, Merchant, Page, TicketType
from events.states import LineKind
from ledger.arrows import arrow_triggers, frozen_trigger, history_trigger, no_truncate, refusal
from ledger.locking import LockableQuerySet
from ledger.money import CURRENCY_CHOICES, Money
from market.models import Product
from orders.states import ORDER_ARROWS, PAYABLE, SUMUP_PAID, UNDECIDED, OrderState

#: With less of its hold left than this nobody begins to pay it.
LEAST_LEFT = timedelta(minutes=5)
#: And nobody is sent back to a payment page that is there: it ends two minutes before the hold.
LAST_CALL = timedelta(minutes=3)


def new_order_code() -> str:
    """130 random bits in 26 letters and digits: who knows it may see whether the order is paid, no more."""
    return base64.b32encode(secrets.token_bytes(17)).decode()[:26]


#: Money of an order is here and a person decides about it; or SumUp says so and has not shown the payment yet.
IS_UNDECIDED = Q(cases__closed_at=None, cases__kind__in=sorted(UNDECIDED))
IS_CONFIRMING = Q(checkouts__state__in=sorted(PAYABLE), checkouts__sumup_status=SUMUP_PAID)


class OrderQuerySet(LockableQuerySet["Order"]):
    def of_user(self, user: User) -> "OrderQuerySet":
        return self.filter(user=user)

    def awaiting(self) -> "OrderQuerySet":
        return self.filter(state=OrderState.AWAITING_PAYMENT)

    def to_end(self, *, at: datetime) -> "OrderQuerySet":
        """Those whose hold is over, or whose buyer cancelled."""
        return self.awaiting().filter(Q(hold_until__lte=at) | Q(cancel_requested_at__isnull=False))

    def to_remind(self) -> "OrderQuerySet":
        """Those that await payment, are not being cancelled, and whose buyer was not reminded yet."""
        return self.awaiting().filter(cancel_requested_at=None, reminded_at=None)

    def with_money(self) -> "OrderQuerySet":
        """Each knows whether it `is_undecided` or `is_confirming`, with no question more."""
        same = Order.objects.filter(pk=OuterRef("pk"))
        known = {"is_undecided": Exists(same.filter(IS_UNDECIDED)), "is_confirming": Exists(same.filter(IS_CONFIRMING))}
        return self.annotate(**known)

    def of_pages(self, pages: "models.QuerySet[Page] | list[int]") -> "OrderQuerySet":
        """Orders with a line of one of `pages`."""
        return self.filter(pk__in=OrderLine.objects.filter(page__in=pages).values("order_id"))


class Order(models.Model):
    """One order, one payment; merchant, currency and total are frozen when it is placed."""

    code = models.CharField(_("code"), max_length=32, unique=True, default=new_order_code, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="orders", verbose_name=_("buyer"))
    merchant = models.ForeignKey(
        Merchant, on_delete=models.PROTECT, null=True, related_name="orders", verbose_name=_("merchant")
    )
    state = models.CharField(_("state"), max_length=20, choices=OrderState.choices, default=OrderState.AWAITING_PAYMENT)
    total = models.DecimalField(_("total"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    cart_token = models.UUIDField(_("cart token"), unique=True, default=uuid.uuid4, editable=False)
    placed_at = models.DateTimeField(_("placed"))
    hold_until = models.DateTimeField(_("held until"))
    paid_at = models.DateTimeField(_("paid at"), null=True)
    link_version = models.PositiveSmallIntegerField(_("links revoked"), default=0, editable=False)
    reminded_at = models.DateTimeField(_("reminder enqueued"), null=True, editable=False)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering = ["-placed_at", "-id"]
        indexes = [
            models.Index(fields=["user", "-placed_at"], name="order_of_user"),
            models.Index(fields=["hold_until"], condition=Q(state="awaiting_payment"), name="order_awaiting"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(total__gte=0), name="order_total_not_negative"),
            models.CheckConstraint(
                condition=Q(total=0) | Q(merchant__isnull=False), name="order_with_total_has_merchant"
            ),
            models.CheckConstraint(condition=~Q(state="paid") | Q(paid_at__isnull=False), name="order_paid_has_time"),
        ]
        triggers = [
            *arrow_triggers("order", ORDER_ARROWS),
            frozen_trigger(
                "order_frozen",
                ["code", "user_id", "merchant_id", "total", "currency", "cart_token", "placed_at", "hold_until"],
            ),
            history_trigger("order", ["state"]),
        ]

    def __str__(self) -> str:
        return self.code

    def get_absolute_url(self) -> str:
        return reverse("order", args=[self.code])

    @property
    def money(self) -> Money:
        return Money(self.total, self.currency)

    @property
    def short_code(self) -> str:
        """The first letters of the code, for people to tell orders apart; it opens nothing."""
        return self.code[:8]

    @property
    def time_zone(self) -> str:
        """The time zone to tell its times in: that of the (first) page it buys from."""
        return self.first_page.time_zone if self.first_page else "UTC"

    @property
    def seller(self) -> str:
        """Whom it buys from, for the payment page and the statement: the name of the (first) page."""
        return self.first_page.name if self.first_page else ""

    @cached_property
    def first_page(self) -> Page | None:
        line = self.lines.select_related("page").first()
        return line.page if line else None

    @cached_property
    def is_undecided(self) -> bool:
        """Money for it is here, it got no goods for it, and a person decides: nothing more is to be paid meanwhile."""
        return Order.objects.filter(IS_UNDECIDED, pk=self.pk).exists()

    @cached_property
    def is_confirming(self) -> bool:
        """SumUp says that it is paid, and has not shown the payment itself yet."""
        return Order.objects.filter(IS_CONFIRMING, pk=self.pk).exists()

    @property
    def money_came(self) -> bool:
        """It awaits no payment, whatever its state says: one has come, or has by SumUp's word."""
        if "is_undecided" in self.__dict__ and "is_confirming" in self.__dict__:
            return self.is_undecided or self.is_confirming
        return Order.objects.filter(IS_UNDECIDED | IS_CONFIRMING, pk=self.pk).exists()

    def has_time(self, at: datetime) -> bool:
        """It awaits payment, and its hold is not over."""
        return self.state == OrderState.AWAITING_PAYMENT and self.cancel_requested_at is None and at < self.hold_until

    def can_still_pay(self, at: datetime) -> bool:
        """A click on Pay would lead to a payment page: what every page that offers it asks, and the click too.

        Not in the last minute of the hosted page, in which nobody types a card's number; and a page that is not there
        yet is not begun with so little left.
        """
        if not self.has_time(at + LAST_CALL) or self.money_came:
            return False
        begins = self.merchant_id is not None and self.hold_until - at >= LEAST_LEFT
        return begins or self.checkouts.filter(state__in=PAYABLE).exists()

    def paying(self, at: datetime) -> dict[str, object]:
        """What its pages say of paying: whether it is offered and how long, else why not as long as the hold runs."""
        can_pay = self.can_still_pay(at)
        waits = not can_pay and self.has_time(at) and not self.money_came
        return {"can_pay": can_pay, "time_left": self._time_left(at), "too_late": self._too_late() if waits else ""}

    def _time_left(self, at: datetime) -> str:
        """As the countdown of the script tells it, so that nothing jumps when the script begins."""
        seconds = max(ceil((self.hold_until - at) / timedelta(seconds=1)), 0)
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"

    def _too_late(self) -> str:
        until = self.hold_until.astimezone(ZoneInfo(self.time_zone))
        words = gettext("Too little time is left to pay this order. What it holds is free again after %(until)s.")
        return words % {"until": f"{date_format(until, 'H:i')} {until.tzname()}"}


class OrderLine(models.Model):
    """So many of one thing at one price, as sold; written once, never changed."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    page = models.ForeignKey(Page, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=LineKind.choices)
    entry = models.ForeignKey(CalendarEntry, on_delete=models.PROTECT, null=True, related_name="+")
    ticket_type = models.ForeignKey(TicketType, on_delete=models.PROTECT, null=True, related_name="+")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, null=True, related_name="+")
    name = models.CharField(_("name"), max_length=250)
    unit_price = models.DecimalField(_("unit price"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    quantity = models.PositiveIntegerField(_("quantity"))

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="order_line_quantity_positive"),
            models.CheckConstraint(condition=Q(unit_price__gte=0), name="order_line_price_not_negative"),
            models.CheckConstraint(condition=Q(kind__in=LineKind.values), name="order_line_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="product", entry=None, product__isnull=False)
                | (~Q(kind="product") & Q(entry__isnull=False, product=None)),
                name="order_line_names_what_it_sold",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="order_line_frozen",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=refusal("order_line_frozen", "an order line is never changed"),
            ),
            no_truncate("order_line"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.name}"

    @property
    def price(self) -> Money:
        return Money(self.unit_price, self.currency)

    @property
    def amount(self) -> Money:
        return Money(self.unit_price * self.quantity, self.currency)
