"""Merchants in the admin: SumUp is asked before one is saved, what it says is told in words, the key never."""

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from pytest_django import Settings

import payments.admin.merchants
from events.models import Merchant, Role
from payments.merchants import Check, check_account
from tests.desk import change, house, member, sent, signed_in_as
from tests.simulator import KEY, MERCHANT, OTHER_KEY, OTHER_MERCHANT, SimulatorProcess

ADD = "/admin/events/merchant/add/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_a_demo(settings: Settings) -> None:
    """The simulator's accounts are sandboxes."""
    settings.DEBUG = True


def new(**changes: str) -> dict[str, str]:
    """The other account that the simulator knows; the `sumup` fixture's is there already."""
    data = {"name": "Club", "code": OTHER_MERCHANT, "currency": "EUR", "new_api_key": OTHER_KEY}
    return {**data, **changes}


def refused(client: Client, address: str, data: dict[str, str]) -> str:
    answer = client.post(address, data)
    assert answer.status_code == 200
    assert "sup_sk" not in answer.content.decode()
    words = str(answer.context["adminform"].form.errors.as_text())
    assert words
    return words


def told(client: Client, address: str, data: dict[str, str]) -> str:
    answer = client.post(address, data, follow=True)
    assert answer.redirect_chain
    return answer.content.decode()


def test_good_account_is_saved_with_what_sumup_says(boss: Client, sumup: SimulatorProcess) -> None:
    body = told(boss, ADD, new())

    assert "SumUp knows this account: MDEMO002, EUR, a sandbox: no real money." in body
    merchant = Merchant.objects.get(code=OTHER_MERCHANT)
    assert (merchant.api_key, merchant.is_sandbox, merchant.is_site) == (OTHER_KEY, True, False)
    assert sumup.calls("merchant") == 1


def test_key_is_encrypted_and_never_shown(boss: Client, sumup: SimulatorProcess) -> None:
    told(boss, ADD, new())
    merchant = Merchant.objects.get(code=OTHER_MERCHANT)
    for page in (boss.get(change(merchant)), boss.get("/admin/events/merchant/"), boss.get(ADD)):
        assert "sup_sk" not in page.content.decode()
    told(boss, change(merchant), {"name": "Club e.V.", "new_api_key": ""})
    merchant.refresh_from_db()
    assert (merchant.name, merchant.api_key) == ("Club e.V.", OTHER_KEY)
    assert "sup_sk" not in "".join(entry.change_message for entry in LogEntry.objects.all())
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM events_merchant")
        assert not [row for row in cursor.fetchall() if "sup_sk" in row[0]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"new_api_key": "sup_sk_wrong"}, "SumUp does not know this key"),
        ({"new_api_key": "sup pk\tpublic"}, "SumUp does not know this key"),
        ({"new_api_key": ""}, "Without a key nobody can pay to this account"),
        ({"new_api_key": KEY}, "SumUp refuses the question, does this key belong to MDEMO002?"),
        ({"code": "MNOBODY"}, "SumUp refuses the question, does this key belong to MNOBODY?"),
        ({"code": "../MDEMO002"}, "SumUp refuses the question"),
        ({"currency": "CHF"}, "SumUp says that this account takes EUR, not CHF"),
    ],
)
def test_account_that_is_not_what_the_form_says_is_refused_in_words(
    boss: Client, sumup: SimulatorProcess, changes: dict[str, str], words: str
) -> None:
    assert words in refused(boss, ADD, new(**changes))
    assert Merchant.objects.count() == 1


def test_sandbox_is_refused_where_real_money_is_taken(
    boss: Client, sumup: SimulatorProcess, settings: Settings
) -> None:
    settings.DEBUG = False

    assert "This is a sandbox account: nobody would pay real money" in refused(boss, ADD, new())
    assert Merchant.objects.count() == 1


@pytest.mark.parametrize("fault", ["500", "502html", "429", "drop", "garbage", "blocked"])
@pytest.mark.promise("sumup-does-answer")
def test_nothing_new_is_saved_while_sumup_does_not_answer(boss: Client, sumup: SimulatorProcess, fault: str) -> None:
    mine = Merchant.objects.get(code=MERCHANT)
    mine.api_key = "sup_sk_old"
    mine.save(update_fields=["api_key"])
    sumup.faults(merchant=fault)

    assert "SumUp cannot be asked about this account now" in refused(boss, ADD, new())
    data = sent(boss, change(mine), new_api_key=KEY)
    assert "SumUp cannot be asked about this account now" in refused(boss, change(mine), data)
    mine.refresh_from_db()
    assert (mine.api_key, Merchant.objects.count()) == ("sup_sk_old", 1)


@pytest.mark.promise("sumup-does-answer")
def test_a_name_is_saved_while_sumup_does_not_answer_with_a_warning(boss: Client, sumup: SimulatorProcess) -> None:
    mine = Merchant.objects.get(code=MERCHANT)
    sumup.faults(merchant="500")

    body = told(boss, change(mine), sent(boss, change(mine), name="New name"))

    assert "SumUp did not answer: saved, but the account was not checked" in body
    mine.refresh_from_db()
    assert (mine.name, mine.api_key, mine.is_sandbox) == ("New name", KEY, False)


def test_nobody_becomes_the_sites_merchant_unchecked(boss: Client, sumup: SimulatorProcess) -> None:
    Merchant.objects.update(is_site=False)
    mine = Merchant.objects.get(code=MERCHANT)
    for fault, words in [("500", "SumUp cannot be asked"), ("401", "SumUp does not know this key")]:
        sumup.faults(merchant=fault)
        assert words in refused(boss, change(mine), {**sent(boss, change(mine)), "is_site": "on"})
    sumup.faults(merchant="ok")
    told(boss, change(mine), {**sent(boss, change(mine)), "is_site": "on"})
    mine.refresh_from_db()
    assert (mine.is_site, mine.is_sandbox) == (True, True)


def test_account_whose_key_died_can_be_taken_out_of_use(boss: Client, sumup: SimulatorProcess) -> None:
    mine = Merchant.objects.get(code=MERCHANT)
    sumup.faults(merchant="401")
    assert "SumUp does not know this key" in refused(boss, change(mine), sent(boss, change(mine), name="Old"))

    data = sent(boss, change(mine), name="Old")
    data.pop("is_site")

    assert "Saved, but nobody can pay to this account: SumUp does not know this key" in told(boss, change(mine), data)
    mine.refresh_from_db()
    assert (mine.name, mine.is_site) == ("Old", False)


def test_second_merchant_of_the_site_is_refused_without_asking(boss: Client, sumup: SimulatorProcess) -> None:
    words = refused(boss, ADD, new(is_site="on"))

    assert "Demo (MDEMO001) is the site" in words
    assert sumup.calls("merchant") == 0


def test_code_and_currency_of_an_account_stay(boss: Client, sumup: SimulatorProcess) -> None:
    mine = Merchant.objects.get(code=MERCHANT)

    told(boss, change(mine), sent(boss, change(mine), code="STOLEN", currency="USD", is_sandbox=""))

    mine.refresh_from_db()
    assert (mine.code, mine.currency, mine.is_sandbox) == (MERCHANT, "EUR", True)


def test_key_of_the_environment_is_the_one_that_is_asked_with(
    boss: Client, sumup: SimulatorProcess, settings: Settings
) -> None:
    settings.SUMUP_MERCHANT_CODE, settings.SUMUP_API_KEY = OTHER_MERCHANT, OTHER_KEY

    told(boss, ADD, new(new_api_key=""))

    assert Merchant.objects.get(code=OTHER_MERCHANT).api_key is None


@pytest.mark.parametrize("role", list(Role))
def test_nobody_else_has_sumup_asked(sumup: SimulatorProcess, role: Role) -> None:
    client = signed_in_as(member((house("Alpha").page, role)))
    mine = Merchant.objects.get(code=MERCHANT)

    assert client.post(ADD, new()).status_code == 403
    assert client.post(change(mine), {"name": "x", "new_api_key": "x"}).status_code == 403
    assert Client().post(ADD, new()).status_code == 302
    assert sumup.calls("merchant") == 0


def test_merchant_that_is_gone_is_no_fault(boss: Client, sumup: SimulatorProcess) -> None:
    for pk in ("999999", "x", "1%27"):
        answer = boss.post(f"/admin/events/merchant/{pk}/change/", new(), follow=True)
        assert "exist" in answer.content.decode()


def test_form_that_nobody_asked_about_is_not_saved(
    boss: Client, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the row change between the question and the answer: what was not asked about is not believed."""
    monkeypatch.setattr(payments.admin.merchants, "check_account", lambda _merchant: Check.NOT_ASKED)

    assert "SumUp cannot be asked" in refused(boss, ADD, new())


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("sumup-does-answer")
def test_sumup_is_asked_before_the_transaction(
    boss: Client, sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def noted(merchant: Merchant) -> Check:
        asked.append(connection.in_atomic_block)
        return check_account(merchant)

    monkeypatch.setattr(payments.admin.merchants, "check_account", noted)

    told(boss, ADD, new())

    assert asked == [False]
    assert Merchant.objects.filter(code=OTHER_MERCHANT).exists()
