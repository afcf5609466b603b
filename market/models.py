"""Product, a thing that a page sells, and ProductItem, one piece of it in a cart or an order."""

from collections.abc import Iterable

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.visitors import Visitor
from events.models import CalendarEntry, Page, Ticket, new_ticket_code
from events.pictures import Pictured
from events.searching import Folded, words_of
from events.states import HELD, TICKET_ARROWS, TicketState
from ledger.arrows import arrow_triggers, counter_guards, counter_triggers, frozen_trigger, history_trigger
from ledger.copies import copies_of
from ledger.locking import LockableQuerySet
from ledger.money import CURRENCY_CHOICES, Money

#: What a product itself is found by.
WORDS = Folded("name", "summary")


class ProductQuerySet(LockableQuerySet["Product"]):
    def public(self) -> "ProductQuerySet":
        """What anybody may see: published, on a published page."""
        return self.filter(is_published=True, page__is_published=True)

    def with_page(self) -> "ProductQuerySet":
        return self.select_related("page")

    def matching(self, text: str) -> "ProductQuerySet":
        """Products in which each word of `text` occurs: in their own name and line, or their page's name or place."""
        words = words_of(text)
        matches = self if words else self.none()
        for word in words:
            own = Product.objects.alias(words=WORDS).filter(words__contains=word)
            named = Product.objects.filter(page__in=Page.objects.named(word))
            matches = matches.filter(pk__in=own.order_by().values("pk").union(named.order_by().values("pk"), all=True))
        return matches


class Product(Pictured):
    """A thing that a page sells, with so many in stock or without a limit; `held` counts what is taken of the stock."""

    page = models.ForeignKey(Page, on_delete=models.PROTECT, related_name="products", verbose_name=_("page"))
    slug = models.SlugField(_("address"), max_length=80)
    name = models.CharField(_("name"), max_length=120)
    summary = models.CharField(_("one line"), max_length=240, blank=True)
    text = models.TextField(_("text"), blank=True)
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    stock = models.PositiveIntegerField(
        _("stock"), null=True, blank=True, help_text=_("As many as were ever for sale, sold ones too. Empty: no limit.")
    )
    held = models.PositiveIntegerField(_("held"), default=0, editable=False)
    max_per_order = models.PositiveSmallIntegerField(_("an order at most"), default=10)
    is_published = models.BooleanField(_("for sale"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    created_at = models.DateTimeField(_("made"), auto_now_add=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering = ["position", "name", "id"]
        indexes = [GinIndex(OpClass(WORDS, name="gin_trgm_ops"), name="product_told")]
        constraints = [
            models.UniqueConstraint(fields=["page", "slug"], name="product_slug_unique_in_page"),
            models.CheckConstraint(condition=Q(held__lte=F("stock")) | Q(stock=None), name="product_not_oversold"),
            models.CheckConstraint(condition=Q(price__gte=0), name="product_price_not_negative"),
            models.CheckConstraint(condition=Q(max_per_order__gte=1), name="product_max_per_order_positive"),
        ]
        triggers = [
            *counter_guards("product"),
            frozen_trigger("product_stays_where_it_is", ["page_id", "currency"]),
            history_trigger("product", ["price", "stock"]),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("product", args=[self.page.slug, self.slug])

    @property
    def money(self) -> Money:
        return Money(self.price, self.currency)

    @property
    def free_stock(self) -> int | None:
        """Pieces that are not held; None: no limit."""
        return None if self.stock is None else max(self.stock - self.held, 0)


class ItemQuerySet(LockableQuerySet["ProductItem"]):
    def pending_for(self, user: User) -> "ItemQuerySet":
        """What `user` has in the cart and has not ordered."""
        return self.filter(user=user, state=TicketState.PENDING)

    def in_cart_of(self, visitor: Visitor) -> "ItemQuerySet":
        return self.filter(visitor.own(), state=TicketState.PENDING)

    def of_pages(self, pages: Iterable[Page]) -> "ItemQuerySet":
        return self.filter(product__page__in=pages)

    def originals_by_copy(self) -> dict[int, int]:
        """All rows that were put back in a cart for one of these rows or for such a copy: pk -> the original's pk."""
        return copies_of(self)

    def with_page(self) -> "ItemQuerySet":
        return self.select_related("product__page")


class ProductItem(models.Model):
    """One piece of a product. Pending: in a cart, of a user or of a visitor's cart key. Ordered: a voucher with a code.

    `price` of a pending item is the price that its buyer saw when putting it in the cart.
    """

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="items", verbose_name=_("product"))
    user = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="items", verbose_name=_("buyer")
    )
    cart_key = models.CharField(max_length=64, null=True, blank=True, editable=False)
    order = models.ForeignKey(
        "orders.Order", on_delete=models.PROTECT, null=True, blank=True, related_name="items", verbose_name=_("order")
    )
    state = models.CharField(_("state"), max_length=12, choices=TicketState.choices, default=TicketState.PENDING)
    code = models.CharField(_("code"), max_length=32, unique=True, default=new_ticket_code, editable=False)
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES)
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("put in the cart"), auto_now_add=True)
    checked_in_at = models.DateTimeField(_("handed out at"), null=True, blank=True, editable=False)

    objects = ItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("product item")
        verbose_name_plural = _("product items")
        ordering = ["id"]
        indexes = [
            models.Index(fields=["user"], condition=Q(state="pending"), name="item_pending_of_user"),
            models.Index(fields=["cart_key"], condition=Q(state="pending"), name="item_pending_of_key"),
            models.Index(fields=["created_at"], condition=Q(state="pending"), name="item_pending_since"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="pending", order=None, user__isnull=False, cart_key=None)
                | Q(state="pending", order=None, user=None, cart_key__isnull=False)
                | (~Q(state="pending") & Q(order__isnull=False, user__isnull=False, cart_key=None)),
                name="item_reserved_has_order",
            ),
            models.CheckConstraint(condition=Q(price__gte=0), name="item_price_not_negative"),
        ]
        triggers = [
            *arrow_triggers("item", TICKET_ARROWS),
            frozen_trigger(
                "item_frozen", ["product_id", "order_id", "user_id", "price", "currency"], when="OLD.state <> 'pending'"
            ),
            *counter_triggers("item_product", parent="market_product", key="product_id", held=HELD),
            history_trigger("productitem", ["state", "price"]),
        ]

    def __str__(self) -> str:
        return self.code

    def get_absolute_url(self) -> str:
        return reverse("voucher", args=[self.code])

    @property
    def cost(self) -> Money:
        """What it costs: its own frozen price once ordered; before, its product's price of today."""
        return Money(self.price, self.currency) if self.state != TicketState.PENDING else self.product.money

    @property
    def what(self) -> str:
        return self.product.name

    @property
    def is_valid(self) -> bool:
        """Its piece is handed out for it: paid for (or free), and neither cancelled nor given back."""
        return self.state in (TicketState.CONFIRMED, TicketState.CHECKED_IN)

    @property
    def is_owed(self) -> bool:
        return self.state == TicketState.REFUND_DUE


#: What one can buy: each is a row with a state, a price and an order.
SoldThing = Ticket | CalendarEntry | ProductItem
