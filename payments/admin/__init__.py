"""The admin of merchants, orders, their payments, and money to decide."""

from payments.admin.cases import CaseAdmin
from payments.admin.inlines import as_a_whole
from payments.admin.jobs import JobAdmin
from payments.admin.merchants import MerchantAdmin
from payments.admin.orders import CheckoutAdmin, MoneyAdmin, OfOrders, OrderAdmin, PageFilter
from payments.admin.refunds import RefundAdmin
from payments.admin.runs import ReconcileRunAdmin

__all__ = [
    "CaseAdmin",
    "CheckoutAdmin",
    "JobAdmin",
    "MerchantAdmin",
    "MoneyAdmin",
    "OfOrders",
    "OrderAdmin",
    "PageFilter",
    "ReconcileRunAdmin",
    "RefundAdmin",
    "as_a_whole",
]
