"""What follows the end of a refund: for its own rows, cases and buyer, and for nobody else's."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from events.transitions import mark_owed, mark_refunded
from market.models import ProductItem
from payments.models import Case, Checkout, Refund, RefundLoss
from payments.refunds.outcomes import fail, lose_sight, succeed, whole_rows
from payments.refunds.rows import rows_of
from payments.states import CaseKind
from tests.ledger.lives import a_refund
from tests.payments.given import a_case, a_refund_of, flat, jobs, locks, paid, sold
from tests.payments.mixed import Shop, shop

__all__ = ["shop"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

TOLD = "payments.mails.tell_refund"
OWED, VALID, GONE = "refund_due", "confirmed", "refunded"


@pytest.fixture
def shop_of_many(shop: Shop) -> Shop:
    shop.product.stock = 9
    shop.product.save()
    return shop


def moment() -> datetime:
    return timezone.now() + timedelta(minutes=5)


def closed(case: Case) -> tuple[datetime | None, str, str]:
    case.refresh_from_db()
    return (case.closed_at, case.closed_by, case.decision)


OPEN = (None, "", "")


# --- It succeeded


def test_whole_rows_are_refunded_parts_stay_and_the_buyer_is_told_once(shop_of_many: Shop) -> None:
    other_order, other = sold(shop_of_many, days=9)
    order, checkout = sold(shop_of_many)
    ticket, bag, at = order.tickets.get(), order.items.order_by("pk")[0], moment()
    mark_owed([ticket.pk], source=VALID)
    mine, theirs, held = (a_case("refund", checkout), a_case("refund", other), a_case("outside", checkout))
    refund = a_refund_of(checkout, "sending", ("row", ticket, "12.00"), ("goodwill", bag, "1.00"))
    stale = Refund.objects.get(pk=refund.pk)

    succeed(refund, checkout, who="job", at=at)

    assert (refund.state, refund.finished_at) == ("succeeded", at)
    assert flat(order) == [GONE, VALID, VALID, VALID]
    assert flat(other_order) == [VALID] * 4
    assert closed(mine) == (at, "job", "It was paid back on a later try.")
    assert (closed(theirs), closed(held)) == (OPEN, OPEN)
    assert jobs(TOLD) == [{"refund_id": refund.pk}]
    succeed(stale, checkout, who="rival", at=moment())
    assert len(jobs(TOLD)) == 1
    assert Case.objects.count() == 3


def test_what_was_given_meanwhile_is_a_case_with_its_name_and_amount(shop: Shop) -> None:
    order, checkout = sold(shop)
    ticket, bag, at = order.tickets.get(), order.items.order_by("pk")[0], moment()
    refund = a_refund_of(checkout, "sending", ("row", ticket, "12.00"), ("goodwill", bag, "1.00"))
    name = rows_of(order)[0].name

    succeed(refund, checkout, who="job", at=at)

    (case,) = Case.objects.all()
    assert (case.kind, case.amount, case.opened_at, case.checkout) == ("refund", Decimal("13.00"), at, checkout)
    assert case.words == f"Paid back, though it had been given or paid back otherwise meanwhile: {name}."
    assert flat(order)[0] == GONE
    assert len(jobs(TOLD)) == 1


def test_what_was_paid_back_otherwise_meanwhile_is_a_case(shop: Shop) -> None:
    """More went back for it than its price, by a cent."""
    order, checkout = sold(shop)
    ticket = order.tickets.get()
    mark_owed([ticket.pk], source=VALID)
    refund = a_refund_of(checkout, "sending", ("row", ticket, "12.00"))
    a_refund_of(checkout, "succeeded", ("goodwill", ticket, "0.01"), origin="dashboard")

    succeed(refund, checkout, who="job", at=moment())

    assert Case.objects.get().kind == CaseKind.REFUND
    assert flat(order)[0] == GONE


@pytest.mark.parametrize("origin", ["elsewhere", "dashboard", "chargeback"])
def test_what_others_paid_back_of_valid_rows_is_no_case_and_a_chargeback_no_mail(shop: Shop, origin: str) -> None:
    order, checkout = sold(shop)
    mine, at = a_case("refund", checkout), moment()
    refund = a_refund_of(checkout, "requested", ("row", order.tickets.get(), "12.00"), origin=origin)

    succeed(refund, checkout, who="reconcile", at=at)

    assert flat(order) == [GONE, VALID, VALID, VALID]
    assert closed(mine) == (at, "reconcile", "It was paid back on a later try.")
    assert Case.objects.count() == 1
    assert jobs(TOLD) == ([] if origin == "chargeback" else [{"refund_id": refund.pk}])


# --- What that ends


SURPLUS_KINDS = ["surplus", "mismatch", "goods"]


def test_a_surplus_that_went_back_whole_ends_its_cases_and_a_part_of_it_none(shop: Shop) -> None:
    order, applied = sold(shop)
    surplus = paid(order)
    cases = [*Case.objects.filter(checkout=surplus), *(a_case(kind, surplus) for kind in SURPLUS_KINDS[1:])]
    assert [case.kind for case in cases] == SURPLUS_KINDS
    refused, others = a_case("refund", surplus), [a_case(kind, applied) for kind in (*SURPLUS_KINDS, "refund")]
    outside, at = a_case("outside", surplus), moment()

    part = a_refund_of(surplus, "sending", ("surplus", None, "41.00"))
    succeed(part, surplus, who="job", at=at)
    assert [closed(case) for case in [*cases, refused, outside, *others]] == [OPEN] * 9

    rest = a_refund_of(surplus, "sending", ("surplus", None, "1.00"))
    succeed(rest, surplus, who="job", at=at)
    assert [closed(case) for case in cases] == [(at, "job", "All of it was paid back.")] * 3
    assert closed(refused) == (at, "job", "It was paid back on a later try.")
    assert [closed(case) for case in [outside, *others]] == [OPEN] * 5
    assert flat(order) == [VALID] * 4


def test_a_payment_of_the_order_that_went_back_whole_ends_no_case_about_its_goods(shop: Shop) -> None:
    order, checkout = sold(shop)
    goods, refused, at = a_case("goods", checkout), a_case("refund", checkout), moment()
    rows = rows_of(order)
    lines = [("row", row.thing, str(row.price)) for row in rows]
    refund = a_refund_of(checkout, "requested", *lines, origin="elsewhere")

    succeed(refund, checkout, who="user:1", at=at)

    assert flat(order) == [GONE] * 4
    assert (closed(goods), closed(refused)[1]) == (OPEN, "user:1")


@pytest.mark.parametrize("trouble", ["unfinished", "owed", "beyond its price"])
def test_a_refused_refund_waits_on_while_something_of_its_payment_does(shop: Shop, trouble: str) -> None:
    order, checkout = sold(shop)
    first, second = order.items.order_by("pk")
    refused = a_case("refund", checkout)
    if trouble == "unfinished":
        a_refund_of(checkout, "sending", ("goodwill", first, "1.00"))
    elif trouble == "owed":
        mark_owed([first.pk], source=VALID, of=ProductItem)
    else:
        a_refund_of(checkout, "succeeded", ("goodwill", first, "5.00"))
        a_refund_of(checkout, "succeeded", ("goodwill", first, "0.01"), origin="dashboard")

    refund = a_refund_of(checkout, "requested", ("row", second, "5.00"), origin="dashboard")
    succeed(refund, checkout, who="reconcile", at=moment())

    assert closed(refused) == OPEN
    assert flat(order)[3] == GONE


# --- It failed


def test_a_refused_refund_is_a_case_and_its_rows_stay_owed(shop: Shop) -> None:
    order, checkout = sold(shop)
    ticket, at = order.tickets.get(), moment()
    mark_owed([ticket.pk], source=VALID)
    refund = a_refund_of(checkout, "sending", ("row", ticket, "12.00"))
    stale = Refund.objects.get(pk=refund.pk)

    fail(refund, checkout, words="Not enough balance", at=at)

    assert (refund.state, refund.words, refund.finished_at) == ("failed", "Not enough balance", at)
    (case,) = Case.objects.all()
    assert (case.kind, case.words, case.amount) == ("refund", "€ 12.00: Not enough balance", Decimal("12.00"))
    assert case.opened_at == at
    assert flat(order) == [OWED, VALID, VALID, VALID]
    Case.objects.update(closed_at=at, closed_by="user:1", decision="Seen.")
    fail(stale, checkout, words="Again", at=at)
    assert Case.objects.count() == 1


def test_a_refund_that_was_taken_back_is_told_so_and_what_is_left_of_its_rows_is_owed_again(shop: Shop) -> None:
    """What another refund paid back as well is not owed again, but for what is left of it: a euro."""
    order, checkout = sold(shop)
    rows = rows_of(order)
    refund = a_refund_of(checkout, "succeeded", *(("row", row.thing, str(row.price)) for row in rows[:3]))
    for row in rows[:3]:
        mark_owed([row.thing.pk], source=VALID, of=type(row.thing))
        mark_refunded([row.thing.pk], of=type(row.thing))
    more = [("goodwill", rows[0].thing, "11.00"), ("goodwill", rows[1].thing, "20.00")]
    a_refund_of(checkout, "succeeded", *more, origin="dashboard")

    fail(refund, checkout, words="no account", at=moment())

    assert flat(order) == [OWED, GONE, OWED, VALID]
    (case,) = Case.objects.all()
    assert case.words == "SumUp took the refund of € 37.00 back: no account"
    assert case.amount == Decimal("37.00")


def losses_of(checkout: Checkout) -> dict[str, int]:
    """A loss of a cent for each thing of the order, by a refund that was made for it besides."""
    case = a_case("refund", checkout, closed_at=timezone.now(), closed_by="user:1", decision="A loss.")
    rows = rows_of(checkout.order)
    refund = a_refund_of(checkout, "succeeded", *(("goodwill", row.thing, "0.01") for row in rows), origin="dashboard")
    lines = list(refund.lines.order_by("pk"))
    found = [RefundLoss.objects.create(line=line, case=case, amount=line.amount).pk for line in lines]
    return {row.key: pk for row, pk in zip(rows, found, strict=True)}


def test_losses_of_its_own_rows_go_and_those_of_others_stay(shop_of_many: Shop) -> None:
    _order, other = sold(shop_of_many, days=9)
    kept = set(losses_of(other).values())
    order, checkout = sold(shop_of_many)
    mine = losses_of(checkout)
    rows = rows_of(order)
    lines = [("row", row.thing, str(row.price)) for row in rows[:3]]
    refund = a_refund_of(checkout, "sending", *lines)

    fail(refund, checkout, words="no", at=moment())

    assert set(RefundLoss.objects.values_list("pk", flat=True)) == {*kept, mine[rows[3].key]}


def test_a_surplus_that_did_not_go_back_leaves_all_losses(shop: Shop) -> None:
    order, checkout = sold(shop)
    mine = losses_of(checkout)
    surplus = paid(order)
    refund = a_refund_of(surplus, "sending", ("surplus", None, "42.00"))

    fail(refund, surplus, words="no", at=moment())

    assert set(RefundLoss.objects.values_list("pk", flat=True)) == set(mine.values())


# --- Nobody knows


def test_sight_is_lost_of_what_was_sent() -> None:
    refund, other = a_refund("sending"), a_refund("sending")
    stale = Refund.objects.get(pk=refund.pk)

    lose_sight(refund, words="No answer")
    lose_sight(stale, words="Still none")

    assert (refund.state, refund.words) == ("unknown", "No answer")
    refund.refresh_from_db()
    other.refresh_from_db()
    assert (refund.words, other.state) == ("No answer", "sending")


# --- Its rows


def test_whole_rows_are_those_that_go_back_whole_locked(shop_of_many: Shop) -> None:
    sold(shop_of_many, days=9)
    order, checkout = sold(shop_of_many)
    ticket, bag = order.tickets.get(), order.items.order_by("pk")[0]
    refund = a_refund_of(checkout, "succeeded", ("goodwill", ticket, "1.00"), ("row", bag, "5.00"))
    parts = a_refund_of(checkout, "succeeded", ("goodwill", ticket, "1.00"))

    with locks() as taken:
        (row,) = whole_rows(refund, checkout)
    assert (row.kind, row.thing) == ("item", bag)
    assert ("market_productitem", list(order.items.order_by("pk").values_list("pk", flat=True))) in taken
    with locks() as taken:
        assert whole_rows(parts, checkout) == []
    assert taken == []
