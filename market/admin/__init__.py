"""The organiser's desk of the shop: products, and what is sold of them."""

from market.admin.products import ProductAdmin, ProductItemAdmin

__all__ = ["ProductAdmin", "ProductItemAdmin"]
