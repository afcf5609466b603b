"""The shop in the admin: products to run, their pieces to find, to read and to hand out."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.admin.paying_back import pay_back_action, pay_back_address
from events.admin.pictures import PicturedAdmin
from events.admin.sold import SoldAdmin
from events.local_times import told
from events.models import Page
from events.organising.desk import DeskAdmin, link
from events.scoping import RUN, SEE_EVENTS, ScopedFilter, choices_for
from events.states import TicketState
from ledger.telling import Step
from market.admin.forms import ProductForm
from market.models import Product, ProductItem
from market.selling import obstacle
from market.telling import item_steps, product_steps


def with_sold(rows: QuerySet[Product]) -> QuerySet[Product]:
    """Each product with `n_sold`: pieces that are paid for (or free), handed out or not."""
    items = ProductItem.objects.filter(
        product=OuterRef("pk"), state__in=[TicketState.CONFIRMED, TicketState.CHECKED_IN]
    )
    count = Subquery(items.order_by().values("product").annotate(n=Count("pk")).values("n"))
    return rows.annotate(n_sold=Coalesce(count, 0, output_field=IntegerField()))


def public_address(product: Product) -> str | None:
    return product.get_absolute_url() if obstacle(product) is None else None


@admin.register(Product)
class ProductAdmin(PicturedAdmin[Product], DeskAdmin[Product]):
    form = ProductForm
    sees = SEE_EVENTS
    edits = RUN
    page_path = "page_id"
    comes_after = (Page,)
    empty = _("There is no product yet. What is published here is in the shop of its page.")
    list_display = ("name", "page", "money", "sold", "held_now", "in_stock", "free", "is_published", "position")
    list_filter = (("page", ScopedFilter), "is_published")
    list_select_related = ("page",)
    search_fields = ("name__finds", "summary__finds", "page__name__finds")
    ordering = ("page__name", "position", "name", "id")
    sortable_by = ("name",)
    view_on_site = staticmethod(public_address)
    fieldsets = (
        (None, {"fields": ("page", "name", "slug", "summary", ("is_published", "position"))}),
        (
            _("Price and stock"),
            {"fields": (("price", "currency"), ("stock", "sold", "held_now", "free"), "max_per_order")},
        ),
        (_("Text and picture"), {"fields": ("text", "picture", "picture_alt")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        return with_sold(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.within(request, self.edits, None)

    def has_change_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        return self.within(request, self.edits, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        """One at a time, and only what nobody ever ordered or has in a cart: the rest is taken off sale."""
        return obj is not None and self.within(request, self.edits, obj) and not obj.items.exists()

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """It was sold in its page's name and currency: it stays where it is."""
        figures = ("sold", "held_now", "free", "currency")
        return ("page", *figures) if obj else figures

    def get_fieldsets(self, request: HttpRequest, obj: Product | None = None) -> Any:  # noqa: ARG002
        if obj:
            return self.fieldsets
        prices = (_("Price and stock"), {"fields": ("price", "stock", "max_per_order")})
        return (self.fieldsets[0], prices, self.fieldsets[2])

    def get_prepopulated_fields(self, request: HttpRequest, obj: Product | None = None) -> dict[str, Any]:  # noqa: ARG002
        return {} if obj else {"slug": ("name",)}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Who runs one page need not choose it."""
        data: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        pages = list(choices_for(self.admin_site, Product._meta.get_field("page"), request)[:2])
        if len(pages) == 1:
            data.setdefault("page", pages[0].pk)
        return data

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        if not change:
            obj.currency = obj.page.currency
        super().save_model(request, obj, form, change)

    def zone_of(self, row: Product) -> str:
        return row.page.time_zone

    def steps_of(self, request: HttpRequest, row: Product) -> list[Step]:  # noqa: ARG002
        return product_steps(row)

    @admin.display(description=_("price"))
    def money(self, row: Product) -> str:
        return row.money.or_free()

    @admin.display(description=_("sold"))
    def sold(self, row: Product) -> int:
        return int(getattr(row, "n_sold", 0))

    @admin.display(description=_("held"))
    def held_now(self, row: Product) -> int:
        """Sold, and in orders that are being paid."""
        return row.held

    @admin.display(description=_("stock"))
    def in_stock(self, row: Product) -> str:
        return gettext("no limit") if row.stock is None else str(row.stock)

    @admin.display(description=_("free"))
    def free(self, row: Product) -> str:
        return gettext("no limit") if row.free_stock is None else str(row.free_stock)


@admin.register(ProductItem)
class ProductItemAdmin(SoldAdmin[ProductItem]):
    actions = (pay_back_action("item"),)
    change_form_template = "admin/foyer/sold.html"
    page_path = "product__page_id"
    comes_after = (Page, Product)
    made_at = Product
    empty = _("Nothing of the shop is in a cart or sold yet. Visitors buy what is published there.")
    title_path = "product__name"
    list_display = ("short_code", "state", "of_product", "buyer", "money", "in_order", "handed_out")
    list_filter = ("state", ("product__page", ScopedFilter))
    list_select_related = ("product__page", "user", "order")
    extra_lookups = ("product__id__exact", "order__id__exact")
    search_help_text = _("A voucher's or order's code, the buyer's e-mail address, or the product's name.")
    ordering = ("-id",)
    sortable_by = ("state",)
    fields = ("code", "state", "of_product", "buyer", "money", "in_order", "put_in_cart", "handed_out")
    readonly_fields = fields

    def zone_of(self, row: ProductItem) -> str:
        return row.product.page.time_zone

    def steps_of(self, request: HttpRequest, row: ProductItem) -> list[Step]:  # noqa: ARG002
        return item_steps(row)

    def context_of(self, request: HttpRequest, row: ProductItem) -> dict[str, Any]:
        return {"pay_back": pay_back_address(self, request, "item", row)}

    @admin.display(description=_("product"))
    def of_product(self, row: ProductItem) -> str:
        return link("market_product", row.product_id, row.product)

    @admin.display(description=_("handed out"))
    def handed_out(self, row: ProductItem) -> str:
        return told(row.checked_in_at, row.product.page.time_zone)
