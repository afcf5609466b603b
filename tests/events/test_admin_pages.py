"""Pages, their members, calendars and merchants in the admin: what the forms take and write."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from events.models import Calendar, Merchant, Page, PageMember, Role
from tests.desk import House, change, house, member, sent, signed_in_as
from tests.factories import PageFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> House:
    return house("Alpha")


@pytest.fixture
def organiser(home: House) -> Client:
    return signed_in_as(member((home.page, Role.ORGANISER)))


@pytest.fixture
def boss() -> Client:
    return signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))


def test_merchants_key_is_written_and_never_shown(boss: Client) -> None:
    address = "/admin/events/merchant/"
    data = {"name": "Club", "code": "MCLUB", "currency": "EUR", "new_api_key": "sup_sk_first"}
    assert boss.post(f"{address}add/", data).status_code == 302
    merchant = Merchant.objects.get(code="MCLUB")
    assert merchant.api_key == "sup_sk_first"
    for page in (boss.get(change(merchant)), boss.get(address)):
        assert "sup_sk" not in page.content.decode()
    boss.post(change(merchant), {"name": "Club e.V.", "new_api_key": ""})
    merchant.refresh_from_db()
    assert (merchant.name, merchant.api_key) == ("Club e.V.", "sup_sk_first")
    boss.post(change(merchant), {"name": "Club e.V.", "new_api_key": "sup_sk_second"})
    merchant.refresh_from_db()
    assert merchant.api_key == "sup_sk_second"
    assert "sup_sk" not in "".join(entry.change_message for entry in LogEntry.objects.all())


def test_second_merchant_of_the_site_is_refused_in_words(boss: Client, merchant: Merchant) -> None:
    data = {"name": "Club", "code": "MCLUB", "currency": "EUR", "is_site": "on"}
    answer = boss.post("/admin/events/merchant/add/", data)
    assert "Demo (MDEMO001) is the site's merchant" in answer.context["adminform"].form.errors["is_site"][0].replace(
        "’", "'"
    )


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


def test_calendar_is_made_on_ones_own_page_and_stays_there(organiser: Client, home: House) -> None:
    foreign = PageFactory.create()
    data = {"name": "Yard", "slug": "yard", "position": "0"}
    assert organiser.post("/admin/events/calendar/add/", {**data, "page": foreign.pk}).status_code == 200
    assert organiser.post("/admin/events/calendar/add/", {**data, "page": home.page.pk}).status_code == 302
    yard = Calendar.objects.get(slug="yard")
    organiser.post(change(yard), sent(organiser, change(yard), page=foreign.pk, name="Court"))
    yard.refresh_from_db()
    assert (yard.name, yard.page) == ("Court", home.page)
