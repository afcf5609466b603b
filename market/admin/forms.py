"""The organiser's form of a product: prices that its currency has, a stock that can be kept."""

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext, ngettext

from events.admin.entry_forms import check_price
from events.models import Page
from events.pictures import PictureForm
from market.models import Product


class ProductForm(PictureForm[Product]):
    class Meta:
        model = Product
        fields = (
            "page", "name", "slug", "summary", "text", "picture", "picture_alt", "price", "stock", "max_per_order",
            "position", "is_published",
        )  # fmt: skip

    def clean_stock(self) -> int | None:
        stock: int | None = self.cleaned_data["stock"]
        held = self.instance.held
        if stock is not None and stock < held:
            words = ngettext(
                "%(held)d piece is sold or in an order: the stock cannot be lower than that.",
                "%(held)d pieces are sold or in an order: the stock cannot be lower than that.",
                held,
            )
            raise ValidationError(words % {"held": held})
        return stock

    def clean_max_per_order(self) -> int:
        most: int = self.cleaned_data["max_per_order"]
        if most < 1:
            raise ValidationError(gettext("At least one."))
        return most

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        page = self.instance.page if self.instance.pk else data.get("page")
        if isinstance(page, Page):
            self._check_price(data.get("price"), self.instance.currency or page.currency)
            self._check_address(data.get("slug"), page)
        return data

    def _check_price(self, price: Decimal | None, currency: str) -> None:
        try:
            check_price(price, currency)
        except ValidationError as error:
            self.add_error("price", error)

    def _check_address(self, slug: str | None, page: Page) -> None:
        """The page is not in the form of a product that is there, so Django would not look for a twin."""
        if slug and Product.objects.filter(page=page, slug=slug).exclude(pk=self.instance.pk).exists():
            self.add_error("slug", gettext("Another product of this page has this address."))
