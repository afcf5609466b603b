"""Pages, their members and calendars in the admin: what the forms take and write."""

import pytest
from django.test import Client
from pytest_django import Settings

from events.models import Calendar, Merchant, Page, PageMember, Role
from tests.desk import House, change, member, sent, signed_in_as
from tests.factories import PageFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_page_is_made_by_a_superuser_and_run_by_its_organiser(boss: Client, organiser: Client, home: House) -> None:
    members = {"members-TOTAL_FORMS": "0", "members-INITIAL_FORMS": "0"}
    data = {"name": "Club", "slug": "club", "time_zone": "Europe/Vienna", "currency": "EUR", **members}
    assert organiser.post("/admin/events/page/add/", data).status_code == 403
    assert boss.post("/admin/events/page/add/", data).status_code == 302
    assert Page.objects.get(slug="club").time_zone == "Europe/Vienna"
    merchant = Merchant.objects.create(code="X", name="Mine", currency="EUR")
    changed = sent(organiser, change(home.page), name="Alpha hall", merchant=merchant.pk, currency="USD", slug="stolen")
    assert organiser.post(change(home.page), changed).status_code == 302
    page = Page.objects.get(pk=home.page.pk)
    assert (page.name, page.slug, page.currency, page.merchant) == (
        "Alpha hall",
        "alpha-house",
        "EUR",
        home.page.merchant,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Alpha merchant takes them."),
        ({"is_sandbox": True}, "Alpha merchant: The merchant is a sandbox account: nobody would pay real money."),
        ({"api_key": None}, "Alpha merchant: The merchant has no key. Only what is free can be had."),
        ({"currency": "CHF"}, "Alpha merchant: The merchant does not take this currency."),
    ],
)
def test_page_says_who_takes_its_payments_and_whether_they_can(
    boss: Client, organiser: Client, home: House, changes: dict[str, object], words: str
) -> None:
    Merchant.objects.update(**changes)

    for client in (boss, organiser):
        assert words in client.get(change(home.page)).content.decode()


def test_page_says_that_nobody_takes_its_payments(organiser: Client, home: House) -> None:
    Page.objects.update(merchant=None)
    words = "There is no merchant for this page, and none of the site&#x27;s. Only what is free can be had."
    assert words in organiser.get(change(home.page)).content.decode()
    Merchant.objects.update(is_site=True)
    assert "Alpha merchant takes them." in organiser.get(change(home.page)).content.decode()


def test_a_sandbox_takes_payments_in_a_demo(organiser: Client, home: House, settings: Settings) -> None:
    settings.DEBUG = True
    Merchant.objects.update(is_sandbox=True)
    words = "Alpha merchant takes them (a sandbox: no real money)."
    assert words in organiser.get(change(home.page)).content.decode()


def new_member(email: str, role: str) -> dict[str, str]:
    return {"members-TOTAL_FORMS": "2", "members-1-email": email, "members-1-role": role}


def test_owner_adds_and_removes_members_by_address(home: House) -> None:
    owner = signed_in_as(member((home.page, Role.OWNER)))
    doorman = UserFactory.create(email="door@example.org")
    data = sent(owner, change(home.page), **new_member("Door@example.org", "door"))
    answer = owner.post(change(home.page), data, follow=True)
    assert "Not yet in the box office: door@example.org" in answer.content.decode()
    assert PageMember.objects.get(user=doorman).role == "door"
    again = {"members-TOTAL_FORMS": "3", "members-2-email": "door@example.org", "members-2-role": "door"}
    answer = owner.post(change(home.page), sent(owner, change(home.page), **again))
    assert "has this role already" in answer.content.decode()
    unknown = {"members-TOTAL_FORMS": "3", "members-2-email": "who@example.org", "members-2-role": "door"}
    answer = owner.post(change(home.page), sent(owner, change(home.page), **unknown))
    assert "Nobody has signed in with this address yet" in answer.content.decode()
    rows = owner.get(change(home.page)).context["inline_admin_formsets"][0].formset.forms
    at = next(n for n, form in enumerate(rows) if form.instance.user_id == doorman.pk)
    owner.post(change(home.page), sent(owner, change(home.page), **{f"members-{at}-DELETE": "on"}))
    assert not PageMember.objects.filter(user=doorman).exists()


def test_organiser_makes_nobody_a_member(organiser: Client, home: House) -> None:
    UserFactory.create(email="friend@example.org")
    assert "members" not in organiser.get(change(home.page)).content.decode()
    data = {
        **sent(organiser, change(home.page)),
        "members-INITIAL_FORMS": "0",
        **new_member("friend@example.org", "owner"),
    }
    organiser.post(change(home.page), data)
    assert PageMember.objects.count() == 1


def test_calendar_cannot_have_the_address_of_the_shop(organiser: Client, home: House) -> None:
    data = {"name": "Shop", "slug": "shop", "position": "0", "page": home.page.pk}

    answer = organiser.post("/admin/events/calendar/add/", data)

    assert "This address is the shop" in answer.content.decode()
    assert not Calendar.objects.filter(slug="shop").exists()


def test_calendar_is_made_on_ones_own_page_and_stays_there(organiser: Client, home: House) -> None:
    foreign = PageFactory.create()
    data = {"name": "Yard", "slug": "yard", "position": "0"}
    assert organiser.post("/admin/events/calendar/add/", {**data, "page": foreign.pk}).status_code == 200
    assert organiser.post("/admin/events/calendar/add/", {**data, "page": home.page.pk}).status_code == 302
    yard = Calendar.objects.get(slug="yard")
    organiser.post(change(yard), sent(organiser, change(yard), page=foreign.pk, name="Court"))
    yard.refresh_from_db()
    assert (yard.name, yard.page) == ("Court", home.page)
