"""A stored key that nobody can read: no payment, no ciphertext to SumUp, and loud for whoever runs the shop."""

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from config.doctor import examine
from events.models import Merchant, Page
from events.payees import Unpayable, payee_of, unpayable
from payments.cases import LOST_KEY, close_case
from payments.checkouts.settling import Verdict, settle
from payments.jobs import sweep_once
from payments.models import Case
from payments.states import CaseKind
from tests.desk import change, signed_in_as
from tests.factories import PageFactory, UserFactory
from tests.ledger.psql import rows
from tests.simulator import KEY, SimulatorProcess
from tests.steps import ordered, paid_at_sumup, states_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_a_demo(settings: Settings) -> None:
    """The simulator's accounts are sandboxes."""
    settings.DEBUG = True


@pytest.fixture
def lost(merchant: Merchant, settings: Settings) -> Merchant:
    """The site's merchant after FIELD_KEYS were replaced and the earlier ones thrown away."""
    settings.FIELD_KEYS = ["another key than before"]
    merchant.refresh_from_db()
    return merchant


def ciphertext() -> str:
    ((stored,),) = rows("SELECT api_key FROM events_merchant")
    assert isinstance(stored, str)
    return stored


@pytest.mark.promise("key-cannot-read")
def test_nothing_is_sent_to_sumup_with_it(sumup: SimulatorProcess, settings: Settings) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    before = sumup.calls("read")
    settings.FIELD_KEYS = ["another key than before"]

    assert settle(checkout.pk, who="sweep", at=timezone.now()) == Verdict.UNKNOWN

    assert sumup.calls("read") == before
    assert states_of(order) == ["reserved"]
    assert Case.objects.get().words == str(LOST_KEY)


def test_nobody_can_pay_to_it(lost: Merchant) -> None:
    page: Page = PageFactory.create()
    assert unpayable(payee_of(page), page.currency) is Unpayable.LOST_KEY


@pytest.mark.promise("key-cannot-read")
def test_the_sweep_makes_one_case_before_a_buyer_meets_it(
    client: Client, sumup: SimulatorProcess, lost: Merchant
) -> None:
    for _ in range(2):
        sweep_once()
    case = Case.objects.get()
    assert (case.kind, case.merchant, case.words) == (CaseKind.REFUSED, lost, str(LOST_KEY))
    assert client.get("/readyz").status_code == 503
    close_case(case, who="user:0", reason="looked at", at=timezone.now())
    sweep_once()
    assert Case.objects.open().count() == 1  # not mended, so not done with


def test_the_doctor_names_it(lost: Merchant) -> None:
    (found,) = [row for row in examine(at=timezone.now()) if row.name == f"merchant {lost.code}"]
    assert "cannot be read" in found.words
    assert "docs/keys.md" in found.advice


def test_a_key_from_the_environment_is_not_missed(lost: Merchant, settings: Settings) -> None:
    settings.SUMUP_MERCHANT_CODE, settings.SUMUP_API_KEY = lost.code, KEY
    assert lost.secret() == KEY
    assert not lost.has_lost_key


def test_the_form_asks_for_it_again_and_keeps_it_until_then(sumup: SimulatorProcess, lost: Merchant) -> None:
    Merchant.objects.update(is_site=False)
    boss = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True))
    before = ciphertext()
    page = boss.get(change(lost)).content.decode()
    assert "The stored key cannot be read" in page
    assert before not in page
    assert before not in boss.get("/admin/events/merchant/").content.decode()

    answer = boss.post(change(lost), {"name": "Club e.V.", "new_api_key": ""}, follow=True)
    assert "The stored key cannot be read, so nobody can pay" in answer.content.decode()
    assert Merchant.objects.get().name == "Club e.V."
    assert ciphertext() == before

    answer = boss.post(change(lost), {"name": "Club e.V.", "new_api_key": KEY}, follow=True)
    assert "SumUp knows this account" in answer.content.decode()
    assert Merchant.objects.get().secret() == KEY
    assert "A key is stored" in boss.get(change(lost)).content.decode()


def test_a_new_key_is_not_saved_while_sumup_cannot_be_asked(sumup: SimulatorProcess, lost: Merchant) -> None:
    boss, before = signed_in_as(UserFactory.create(is_staff=True, is_superuser=True)), ciphertext()
    sumup.faults(merchant="503")
    boss.post(change(lost), {"name": "Club", "new_api_key": KEY})
    assert ciphertext() == before
