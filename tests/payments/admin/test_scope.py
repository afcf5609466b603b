"""The admin shows and changes a member's own pages only, as the role allows: every ModelAdmin, every role."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from events.models import Booking, Calendar, CalendarEntry, Merchant, Page, Role, Ticket, TicketType
from events.scoping import ScopedAdmin
from market.models import Product, ProductItem
from orders.models import Order, OrderLine
from payments.models import Case, Checkout, ReconcileRun, Refund, RefundBatch
from tests.desk import House, answered, member, ordered, signed_in_as
from tests.desk import house as bare_house
from tests.factories import ProductFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, a_booking, an_item, lead

pytestmark = pytest.mark.django_db

#: What each role may do with each model: v(iew), a(dd), c(hange), d(elete). The entry is published, the mug sold: no
#: deletion of them.
RUN = {Page: "vc", Calendar: "vacd", CalendarEntry: "vac", Booking: "v", TicketType: "vc", Ticket: "v", Order: "v",
       Checkout: "v", Case: "v", Refund: "v", Product: "vac", ProductItem: "v"}  # fmt: skip
DOOR = {CalendarEntry: "v", TicketType: "v", Ticket: "v", Product: "v", ProductItem: "v"}
ALLOWED: dict[Role, dict[type[models.Model], str]] = {
    Role.OWNER: RUN,
    Role.ORGANISER: RUN,
    Role.BOX_OFFICE: {**DOOR, Booking: "v", Order: "v"},
    Role.DOOR: DOOR,
    Role.FINANCE: {Booking: "v", Order: "v", Checkout: "v", Case: "v", Refund: "v"},
}
SCOPED = [model for model, desk in admin.site._registry.items() if isinstance(desk, ScopedAdmin)]
WHOLE_SITE = [model for model in admin.site._registry if model not in SCOPED]


def house(name: str, **more: Any) -> House:
    """A house that has sold a mug, too, and time in a room."""
    home = bare_house(name, **more)
    an_item("confirmed", product=ProductFactory.create(page=home.page, name=f"{name} mug"), order=home.order)
    booking = a_booking(room=home.entry.calendar, user=home.order.user)
    lead("events_calendarentry", booking.pk, SOLD_WAYS["confirmed"], home.order, home.order.user)
    Refund.objects.create(
        checkout=home.checkout, origin="dashboard", amount=1, currency="EUR", reason=f"{name} reason",
        requested_by="reconcile", requested_at=timezone.now(),
    )  # fmt: skip
    return home


def row_of(home: House, model: type[models.Model]) -> models.Model:
    rows: dict[type[models.Model], models.Model | None] = {
        Page: home.page, Calendar: home.entry.calendar, CalendarEntry: home.entry, TicketType: home.ticket_type,
        Ticket: home.ticket, Order: home.order, Checkout: home.checkout, Case: home.case, Merchant: home.page.merchant,
        Product: Product.objects.get(page=home.page), ProductItem: ProductItem.objects.get(product__page=home.page),
        Booking: Booking.objects.filter(order=home.order).first(),
        Refund: Refund.objects.filter(checkout=home.checkout).first(),
    }  # fmt: skip
    row = rows[model]
    assert row is not None
    return row


def address(model: type[models.Model], what: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{what}"


def permissions(user: User, row: models.Model) -> str:
    request = RequestFactory().get("/admin/")
    request.user = user
    shown: admin.ModelAdmin[Any] = admin.site._registry[type(row)]
    can = {
        "v": shown.has_view_permission(request, row) and shown.has_view_permission(request),
        "a": shown.has_add_permission(request),
        "c": shown.has_change_permission(request, row),
        "d": shown.has_delete_permission(request, row),
    }
    return "".join(letter for letter, allowed in can.items() if allowed)


def test_each_model_of_the_admin_has_a_row_in_the_table() -> None:
    """What is registered next must be put here; what belongs to one page must not be found by its short cut."""
    assert set(SCOPED) == {*RUN, *ALLOWED[Role.FINANCE], Merchant}
    assert {ReconcileRun, User} <= set(WHOLE_SITE)
    assert not set(SCOPED) & set(WHOLE_SITE)
    assert RefundBatch not in admin.site._registry  # its pages are views of refunds, asked by role: test_batches


@pytest.mark.parametrize("role", list(Role))
def test_role_opens_what_the_table_says(role: Role) -> None:
    own, foreign = house("Alpha"), house("Beta")
    user = member((own.page, role))
    for model in SCOPED:
        assert permissions(user, row_of(own, model)) == ALLOWED[role].get(model, ""), model
        assert permissions(user, row_of(foreign, model)).replace("a", "") == "", model


@pytest.mark.parametrize("flags", [{"is_staff": False}, {"is_staff": True}, {"is_staff": True, "is_active": False}])
def test_nobody_without_a_role_opens_anything(flags: dict[str, bool]) -> None:
    home, user = house("Alpha"), UserFactory.create(**flags)
    for model in SCOPED:
        assert permissions(user, row_of(home, model)) == "", model


def test_draft_may_be_deleted_by_who_runs_its_page_only() -> None:
    home = house("Alpha")
    entries = admin.site._registry[CalendarEntry]
    draft = CalendarEntry(calendar=home.entry.calendar, state="draft")
    for role in Role:
        request = RequestFactory().get("/admin/")
        request.user = member((home.page, role))
        assert entries.has_delete_permission(request, draft) == (role in (Role.OWNER, Role.ORGANISER))


@pytest.mark.parametrize("role", list(Role))
def test_what_concerns_the_whole_site_is_for_superusers(role: Role) -> None:
    client = signed_in_as(member((house("Alpha").page, role)))
    for model in WHOLE_SITE:
        assert client.get(address(model)).status_code == 403, model


@pytest.mark.parametrize("model", SCOPED)
def test_list_shows_own_rows_and_filters_only(model: type[models.Model]) -> None:
    own, foreign = house("Alpha"), house("Beta")
    client = signed_in_as(member((own.page, Role.ORGANISER)))
    answer = client.get(address(model))
    if model is Merchant:
        assert answer.status_code == 403
        return
    text = answer.content.decode()
    assert list(answer.context["cl"].queryset) == [row_of(own, model)] or model is Ticket
    assert row_of(foreign, model) not in answer.context["cl"].queryset
    assert "beta" not in text.lower()
    assert "alpha" in text.lower()


@pytest.mark.parametrize("what", ["change", "delete", "history"])
def test_foreign_row_has_no_page(what: str) -> None:
    own, foreign = house("Alpha"), house("Beta")
    client = signed_in_as(member((own.page, Role.ORGANISER)))
    methods = (client.get, client.post) if what != "history" else (client.get,)  # which takes no POST: 405 for all
    for model in SCOPED:
        row = row_of(foreign, model)
        for method in methods:
            answer = method(address(model, f"{row.pk}/{what}/"))
            assert answer.status_code in (302, 403), model
            assert answer.status_code == 403 or answer["Location"] == "/admin/", model
        row.refresh_from_db()


def test_own_row_has_a_page_without_a_word_of_another() -> None:
    own, _foreign = house("Alpha"), house("Beta")
    client = signed_in_as(member((own.page, Role.ORGANISER)))
    for model in (model for model in SCOPED if model is not Merchant):
        answer = client.get(address(model, f"{row_of(own, model).pk}/change/"))
        assert answer.status_code == 200, model
        assert "beta" not in answer.content.decode().lower(), model
        assert "/admin/r/" not in answer.content.decode(), model  # the short cut that is closed


def test_search_for_a_foreign_word_finds_nothing() -> None:
    own, foreign = house("Alpha"), house("Beta")
    client = signed_in_as(member((own.page, Role.ORGANISER)))
    for model in (model for model in SCOPED if model is not Merchant):
        for term in ("Beta", "beta-buyer@example.org", foreign.ticket.code, foreign.order.code, "Beta-reference"):
            answer = client.get(address(model), {"q": term})
            assert list(answer.context["cl"].queryset) == [], (model, term)


#: Every foreign key that leads to a model of the admin, whether a form offers it or not.
MODELS: list[type[models.Model]] = [*SCOPED, OrderLine]
KEYS = [
    (model, field.name, field.related_model)
    for model in MODELS
    for field in model._meta.get_fields()
    if isinstance(field, models.ForeignKey) and field.related_model in admin.site._registry
]


def test_autocomplete_answers_with_own_rows_only() -> None:
    own, foreign = house("Alpha"), house("Beta")
    client = signed_in_as(member((own.page, Role.ORGANISER)))
    for model, field, target in KEYS:
        asked = {"app_label": model._meta.app_label, "model_name": str(model._meta.model_name), "field_name": field}
        answer = client.get("/admin/autocomplete/", {**asked, "term": ""})
        if target in (Merchant, User):
            assert answer.status_code == 403, asked
            continue
        found = {int(result["id"]) for result in answer.json()["results"]}
        assert row_of(own, target).pk in found, asked
        assert row_of(foreign, target).pk not in found, asked


def test_lookups_beside_the_filters_are_refused() -> None:
    own = house("Alpha")
    client = signed_in_as(member((own.page, Role.ORGANISER)))
    cases: list[tuple[type[models.Model], str]] = [
        (Order, "total__gte"),
        (Order, "user__email__startswith"),
        (Ticket, "user__password"),
        (Page, "merchant__api_key__startswith"),
    ]
    for model, lookup in cases:
        assert client.get(address(model), {lookup: "1"}).status_code == 400, lookup


def test_short_cut_to_any_row_is_closed() -> None:
    own, foreign = house("Alpha"), house("Beta")
    client = signed_in_as(member((own.page, Role.ORGANISER)))
    kind = ContentType.objects.get_for_model(Ticket)
    assert client.get(f"/admin/r/{kind.pk}/{foreign.ticket.pk}/").status_code == 404


def test_form_takes_no_calendar_of_a_page_that_one_only_looks_at() -> None:
    own, watched = house("Alpha"), house("Beta")
    client = signed_in_as(member((own.page, Role.ORGANISER), (watched.page, Role.DOOR)))
    data = {"calendar": str(watched.entry.calendar_id), "title": "Mine now", "starts_at": "2027-01-01T20:00",
            "ends_at": "2027-01-01T22:00", "max_per_order": "10"}  # fmt: skip
    answer = client.post(address(CalendarEntry, "add/"), data)
    assert list(answer.context["adminform"].form.errors) == ["calendar"]
    assert not CalendarEntry.objects.filter(title="Mine now").exists()
    answer = client.post(address(CalendarEntry, "add/"), {**data, "calendar": str(own.entry.calendar_id)})
    assert CalendarEntry.objects.get(title="Mine now").calendar.page == own.page


def test_action_leaves_what_one_only_looks_at() -> None:
    own, watched = house("Alpha"), house("Beta")
    drafts = [
        CalendarEntry.objects.create(
            calendar=home.entry.calendar, title="Draft", starts_at=home.entry.starts_at, ends_at=home.entry.ends_at,
            currency="EUR",
        )
        for home in (own, watched)
    ]  # fmt: skip
    client = signed_in_as(member((own.page, Role.ORGANISER), (watched.page, Role.DOOR)))
    data = {"action": "publish_all", "_selected_action": [draft.pk for draft in drafts]}
    answer = answered(client, address(CalendarEntry), data)
    assert "1 event is not yours to change." in answer.content.decode()
    assert [CalendarEntry.objects.get(pk=draft.pk).state for draft in drafts] == ["confirmed", "draft"]
    assert client.post(address(CalendarEntry, f"{drafts[1].pk}/move/publish/")).status_code == 403


@pytest.mark.parametrize(
    ("role", "sees_total"),
    [(Role.OWNER, False), (Role.ORGANISER, False), (Role.BOX_OFFICE, False), (Role.FINANCE, True)],
)
def test_order_over_two_pages_is_whole_for_finance_only(role: Role, sees_total: bool) -> None:
    own, foreign = house("Alpha"), house("Beta")
    assert own.page.merchant
    order = ordered({own.ticket_type: 1, foreign.ticket_type: 3}, UserFactory.create(), own.page.merchant)
    client = signed_in_as(member((own.page, role)))
    for text in (
        client.get(address(Order)).content.decode(),
        client.get(address(Order, f"{order.pk}/change/")).content.decode(),
    ):
        assert ("48.00" in text) is sees_total
        assert "Beta" not in text
        assert "Alpha night: Alpha seat" in text
        foreign_codes = Ticket.objects.filter(order=order, entry=foreign.entry).values_list("code", flat=True)
        assert [code for code in foreign_codes if code[:4] in text] == []


def test_order_over_two_pages_is_whole_for_who_runs_both() -> None:
    own, other = house("Alpha"), house("Beta")
    assert own.page.merchant
    order = ordered({own.ticket_type: 1, other.ticket_type: 3}, UserFactory.create(), own.page.merchant)
    client = signed_in_as(member((own.page, Role.ORGANISER), (other.page, Role.BOX_OFFICE)))
    text = client.get(address(Order, f"{order.pk}/change/")).content.decode()
    assert "48.00" in text
    assert "Beta night" in text


def test_checkout_of_an_order_over_two_pages_is_hidden_from_organisers() -> None:
    own, foreign = house("Alpha"), house("Beta")
    assert own.page.merchant
    order = ordered({own.ticket_type: 1, foreign.ticket_type: 3}, UserFactory.create(), own.page.merchant)
    checkout = Checkout.objects.create(
        order=order, merchant=own.page.merchant, reference="over-two", amount=48, currency="EUR",
        created_at=order.placed_at, valid_until=order.hold_until,
    )  # fmt: skip
    organiser, finance = (signed_in_as(member((own.page, role))) for role in (Role.ORGANISER, Role.FINANCE))
    assert organiser.get(address(Checkout, f"{checkout.pk}/change/")).status_code == 302
    assert "over-two" not in organiser.get(address(Order, f"{order.pk}/change/")).content.decode()
    assert finance.get(address(Checkout, f"{checkout.pk}/change/")).status_code == 200
    assert "over-two" in finance.get(address(Order, f"{order.pk}/change/")).content.decode()


def test_case_about_a_merchant_is_for_the_pages_that_it_pays(client: Client) -> None:
    own, foreign = house("Alpha"), house("Beta")
    case = Case.objects.create(
        kind="refused", merchant=own.page.merchant, words="key revoked", opened_at=own.case.opened_at
    )
    for home, status in ((own, 200), (foreign, 302)):
        answer = signed_in_as(member((home.page, Role.FINANCE))).get(address(Case, f"{case.pk}/change/"))
        assert answer.status_code == status


QUERIES = {Page: 7, Calendar: 8, CalendarEntry: 9, Booking: 9, TicketType: 8, Ticket: 8, Order: 9, Checkout: 8, Case: 9,
           Refund: 9, Product: 8, ProductItem: 8}  # fmt: skip


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("model", list(QUERIES))
def test_list_asks_as_often_whatever_its_length(
    model: type[models.Model], count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    homes = [house(name, sold=1) for name in ("Alpha", "Beta", "Gamma")[:count]]
    client = signed_in_as(member(*((home.page, Role.ORGANISER) for home in homes)))
    client.get(address(model))  # content types are read once a process
    with django_assert_num_queries(QUERIES[model]):
        answer = client.get(address(model))
    assert len(answer.context["cl"].result_list) == count
