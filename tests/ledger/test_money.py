"""Money: rounded once, never mixed."""

from decimal import Decimal

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import CURRENCY_CHOICES, PLACES, MixedCurrencies, Money, rounded, total

currencies = st.sampled_from(sorted(PLACES))
amounts = st.decimals(min_value=-1_000_000, max_value=1_000_000, places=4)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1.005", "EUR", "1.01"),
        ("1.004", "EUR", "1.00"),
        ("2.675", "USD", "2.68"),
        ("-1.005", "EUR", "-1.01"),
        ("999.5", "CLP", "1000"),
        ("1000.4", "CLP", "1000"),
        ("0.5", "CLP", "1"),
        ("7", "HUF", "7.00"),
    ],
)
def test_rounded_goes_half_up_to_the_currencys_places(amount: str, currency: str, expected: str) -> None:
    assert str(rounded(Decimal(amount), currency)) == expected


def test_money_rounds_what_it_is_made_of() -> None:
    assert Money(Decimal("9.995"), "EUR") == Money(Decimal("10"), "EUR")
    assert str(Money(Decimal("9.995"), "EUR").amount) == "10.00"


def test_money_of_an_unknown_currency_is_refused() -> None:
    with pytest.raises(KeyError, match="XXX"):
        Money(Decimal(1), "XXX")


def test_mixed_currencies_are_refused() -> None:
    with pytest.raises(MixedCurrencies, match="EUR and GBP"):
        Money(Decimal(1), "EUR") + Money(Decimal(1), "GBP")
    with pytest.raises(MixedCurrencies):
        total([Money(Decimal(1), "EUR"), Money(Decimal(1), "GBP")], "EUR")


def test_total_of_nothing_is_zero_in_its_currency() -> None:
    assert total([], "CLP") == Money(Decimal(0), "CLP")


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [("1234.5", "EUR", "€ 1,234.50"), ("12.5", "CHF", "CHF 12.50"), ("1500", "CLP", "CLP 1,500")],
)
def test_money_is_told_with_its_places(amount: str, currency: str, expected: str) -> None:
    with translation.override("en"):
        assert str(Money(Decimal(amount), currency)) == expected


def test_nothing_to_pay_is_free() -> None:
    with translation.override("en"):
        assert Money(Decimal(0), "EUR").or_free() == "Free"
        assert Money(Decimal("0.01"), "EUR").or_free() == "€ 0.01"


def test_choices_are_the_currencies_with_places() -> None:
    assert {code for code, _name in CURRENCY_CHOICES} == set(PLACES)


@given(amount=amounts, currency=currencies)
def test_rounding_is_stable_and_never_off_by_more_than_half_a_unit(amount: Decimal, currency: str) -> None:
    result = rounded(amount, currency)
    assert rounded(result, currency) == result
    assert abs(result - amount) <= Decimal(1).scaleb(-PLACES[currency]) / 2
    assert result.as_tuple().exponent == -PLACES[currency]


@given(parts=st.lists(amounts, max_size=20), currency=currencies)
def test_total_is_the_sum_of_its_rounded_parts_in_any_order(parts: list[Decimal], currency: str) -> None:
    monies = [Money(part, currency) for part in parts]
    assert total(monies, currency) == total(reversed(monies), currency)
    assert total(monies, currency).amount == sum((money.amount for money in monies), Decimal(0))


@given(amount=amounts, currency=currencies, quantity=st.integers(0, 100))
def test_so_many_of_one_price_cost_as_much_as_adding_them(amount: Decimal, currency: str, quantity: int) -> None:
    price = Money(amount, currency)
    assert price * quantity == total([price] * quantity, currency)
