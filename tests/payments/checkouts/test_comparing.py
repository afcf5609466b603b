"""What SumUp says beside what was asked for: each comparison alone makes a payment a mismatch, and no cent is lost."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from events.models import Merchant
from payments.checkouts.comparing import compare, money_of, payments_of
from payments.checkouts.settling import settle
from payments.models import Checkout
from payments.sumup import CheckoutAnswer, TransactionAnswer
from payments.sumup.answers import checkout_from
from tests.simulator import SimulatorProcess
from tests.steps import opened, ordered, paid_at_sumup

pytestmark = pytest.mark.django_db

SUCCESS = TransactionAnswer("t", "T", "SUCCESSFUL", Decimal("12.00"), "EUR", "")


def answer(checkout: Checkout, **changes: object) -> CheckoutAnswer:
    """What SumUp says of `checkout` when it is paid as asked for, but for `changes`."""
    facts: dict[str, object] = {
        "id": checkout.sumup_id, "reference": checkout.reference, "amount": Decimal("12.00"), "currency": "EUR",
        "merchant_code": checkout.merchant.code, "status": "PAID", "hosted_url": "", "transaction_id": "t",
        "transaction_code": "T", "raw": {}, "transactions": (SUCCESS,),
    }  # fmt: skip
    return CheckoutAnswer(**(facts | changes))  # type: ignore[arg-type]  # a table of changes, one at a time


def success(**changes: object) -> TransactionAnswer:
    facts = {"id": "t", "code": "T", "status": "SUCCESSFUL", "amount": Decimal("12.00"), "currency": "EUR"}
    return TransactionAnswer(**(facts | {"timestamp": ""} | changes))  # type: ignore[arg-type]  # the same


@pytest.fixture
def checkout(sumup: SimulatorProcess) -> Checkout:
    return opened(ordered())


def test_comparing_finds_no_difference_in_what_was_asked_for(checkout: Checkout) -> None:
    assert compare(checkout, answer(checkout)) == (SUCCESS, [])


#: Each thing that is compared, alone off: what is changed in the answer, and how the difference is called.
ALONE: dict[str, tuple[dict[str, object], str]] = {
    "reference": ({"reference": "another"}, "reference"),
    "merchant": ({"merchant_code": "MDEMO002"}, "merchant"),
    "currency": ({"currency": "CHF"}, "currency"),
    "amount": ({"amount": Decimal("11.99")}, "amount"),
    "no amount": ({"amount": None}, "amount"),
    "checkout id": ({"id": "another"}, "checkout id"),
    "transaction amount": ({"transactions": (success(amount=Decimal("11.99")),)}, "transaction amount"),
    "no transaction amount": ({"transactions": (success(amount=None),)}, "transaction amount"),
    "transaction currency": ({"transactions": (success(currency="CHF"),)}, "transaction currency"),
    "no transaction currency": ({"transactions": (success(currency=""),)}, "transaction currency"),
}


@pytest.mark.parametrize("name", ALONE)
def test_each_comparison_alone_finds_its_difference(checkout: Checkout, name: str) -> None:
    change, word = ALONE[name]
    _own, differences = compare(checkout, answer(checkout, **change))
    assert [line.partition(":")[0] for line in differences] == [word]


# --- Of rows that nobody saved


def asked_for(**changes: Any) -> Checkout:
    """A checkout of 12.00 EUR, known to SumUp as c."""
    facts = {"reference": "R-1", "amount": Decimal("12.00"), "currency": "EUR", "sumup_id": "c"}
    return Checkout(merchant=Merchant(code="M-ROWS"), **(facts | changes))


def test_a_checkout_that_sumup_has_no_id_for_is_compared_without_it() -> None:
    checkout = asked_for(sumup_id=None)
    assert compare(checkout, answer(checkout, id="another")) == (SUCCESS, [])


def test_all_differences_are_told_each_with_both_sides() -> None:
    checkout = asked_for()
    row = success(amount=Decimal(13), currency="CHF")
    lies = {"reference": "R-2", "merchant_code": "M-X", "currency": "GBP", "amount": Decimal(14), "id": "d"}
    of_checkout = [
        "reference: R-2 where R-1 was asked for", "merchant: M-X where M-ROWS was asked for",
        "currency: GBP where EUR was asked for", "amount: 14 where 12.00 was asked for",
        "checkout id: d where c was asked for",
    ]  # fmt: skip
    assert compare(checkout, answer(checkout, transactions=(row,), **lies)) == (
        row,
        [
            *of_checkout, "transaction amount: 13 where 12.00 was asked for",
            "transaction currency: CHF where EUR was asked for",
        ],
    )  # fmt: skip
    assert compare(checkout, answer(checkout, transactions=(), **lies)) == (None, of_checkout)


def test_several_payments_of_which_each_has_a_number_differ_in_nothing() -> None:
    checkout, by_id, by_code = asked_for(), success(code=""), success(id="", code="C2")
    assert compare(checkout, answer(checkout, transactions=(by_id, by_code))) == (by_id, [])
    nameless = success(id="", code="")
    alone = answer(checkout, transactions=(nameless,), transaction_id="", transaction_code="")
    assert compare(checkout, alone) == (nameless, [])
    _own, differences = compare(checkout, answer(checkout, transactions=(by_id, nameless, nameless)))
    assert differences == ["3 successful transactions, and not each has a number"]


#: Successful transactions as (id, code), and those that are told apart.
TOLD_APART: list[tuple[list[tuple[str, str]], list[int]]] = [
    ([("a", "A"), ("a", "A")], [0]),
    ([("a", "A"), ("a", "B")], [0]),
    ([("a", "A"), ("b", "A")], [0, 1]),
    ([("", "A"), ("", "A")], [0]),
    ([("", "A"), ("", "B")], [0, 1]),
    ([("", ""), ("", "")], [0, 1]),
]


@pytest.mark.parametrize(("names", "kept"), TOLD_APART)
def test_a_payment_is_told_from_another_by_its_id_else_its_code_else_its_place(
    names: list[tuple[str, str]], kept: list[int]
) -> None:
    rows = [success(id=id_, code=code, timestamp=str(place)) for place, (id_, code) in enumerate(names)]
    found = payments_of(asked_for(), answer(asked_for(), transactions=tuple(rows)))
    assert list(found) == [rows[place] for place in kept]


@pytest.mark.parametrize(
    ("names", "is_named"),
    [
        (("t", "T"), True), (("t", ""), True), (("", "T"), True), (("t", "X"), True), (("x", "T"), True),
        (("x", "X"), False), (("x", ""), False), (("", "X"), False), (("", ""), False),
    ],
)  # fmt: skip
def test_of_two_that_fit_the_one_that_sumup_names_comes_first(names: tuple[str, str], is_named: bool) -> None:
    first, mine = success(id="first", code="FIRST"), success(id=names[0], code=names[1])
    rows = payments_of(asked_for(), answer(asked_for(), transactions=(first, mine)))
    assert list(rows) == ([mine, first] if is_named else [first, mine])


def test_what_sumup_names_nowhere_is_not_named_by_nothing() -> None:
    first, nameless = success(id="first", code="FIRST"), success(id="", code="")
    told_of = answer(asked_for(), transactions=(first, nameless), transaction_id="", transaction_code="")
    assert list(payments_of(asked_for(), told_of)) == [first, nameless]


def told(name: str, amount: object = 12, **more: object) -> dict[str, object]:
    return {"id": name, "transaction_code": name, "status": "SUCCESSFUL", "amount": amount, "currency": "EUR"} | more


@pytest.mark.parametrize(
    "lie",
    [
        {"checkout_reference": "another"},
        {"merchant_code": "MDEMO002"},
        {"currency": "CHF"},
        {"amount": 11.99},
        {"id": "another"},
        {"transactions": [told("T", 11.99)]},
        {"transactions": [told("T", currency="CHF")]},
    ],
    ids=lambda lie: str(lie)[:40],
)
def test_each_difference_alone_is_a_mismatch_over_http(sumup: SimulatorProcess, lie: dict[str, object]) -> None:
    checkout = paid_at_sumup(sumup, ordered())
    sumup.faults(tamper=lie)
    settle(checkout.pk, who="test", at=timezone.now())
    checkout.refresh_from_db()
    assert (checkout.state, checkout.problem.count(" was asked for")) == ("mismatch", 1)


@pytest.mark.promise("amount-float-fits")
def test_amounts_are_compared_to_the_cent_as_they_were_before_they_became_floats(sumup: SimulatorProcess) -> None:
    checkout = paid_at_sumup(sumup, ordered())
    sumup.faults(tamper={"amount": 12.0000001907, "transactions": [told("T", 11.9999998)]})
    settle(checkout.pk, who="test", at=timezone.now())
    checkout.refresh_from_db()
    assert (checkout.state, checkout.captured) == ("paid", Decimal("12.00"))


@pytest.mark.parametrize("text", ["12.300000190734863", "12.2999999", "12.3", "12.30"])
def test_an_amount_that_was_a_float_is_read_to_the_cent(text: str) -> None:
    read = checkout_from({"id": "c", "status": "PAID", "amount": Decimal(text)})
    assert str(read.amount) == "12.30"


def test_of_several_payments_the_fitting_one_comes_first_and_each_once(checkout: Checkout) -> None:
    fits, more, named = success(id="a", code="A"), success(id="b", amount=Decimal(13)), success(id="t", code="T")
    failed = success(id="f", status="FAILED")
    rows = payments_of(checkout, answer(checkout, transactions=(more, failed, fits, fits)))
    assert [row.id for row in rows] == ["a", "b"]
    assert [row.id for row in payments_of(checkout, answer(checkout, transactions=(fits, named)))] == ["t", "a"]


def test_several_payments_of_which_one_has_no_number_are_for_a_person(checkout: Checkout) -> None:
    nameless = success(id="", code="")
    _own, differences = compare(checkout, answer(checkout, transactions=(SUCCESS, nameless)))
    assert len(differences) == 1


@pytest.mark.parametrize(
    ("row", "of_checkout", "money"),
    [
        ({"amount": Decimal("11.99")}, {}, (Decimal("11.99"), "EUR")),
        ({"amount": Decimal("11.99"), "currency": ""}, {}, (Decimal("11.99"), "EUR")),
        ({"amount": Decimal("11.99"), "currency": "CHF"}, {}, (Decimal("11.99"), "CHF")),
        ({"amount": None}, {}, (Decimal("12.00"), "EUR")),
        ({"amount": Decimal("1e9")}, {}, (None, "")),
        ({"amount": Decimal(-5)}, {}, (None, "")),
        ({"amount": Decimal("0.001")}, {}, (None, "")),
        ({"amount": None}, {"amount": None}, (None, "")),
        ({"currency": "XXX"}, {"currency": "XXX"}, (None, "")),
    ],
)
def test_what_a_payment_brought_is_told_or_not_known(
    checkout: Checkout, row: dict[str, object], of_checkout: dict[str, object], money: tuple[Decimal | None, str]
) -> None:
    assert money_of(success(**row), answer(checkout, **of_checkout)) == money
