"""docs/promises.md is what its sentences and the tests that carry their keys make; no promise is without a test."""

import pytest

from dev.promises import PAGE, keys_of, page, sections, shown

KEYS = [promise["key"] for section in sections() for promise in section["promise"]]


def test_each_promise_has_a_key_of_its_own_and_is_shown() -> None:
    assert len(KEYS) == len(set(KEYS)) > 200
    assert set(KEYS) - shown().keys() == set(), "no test shows these"
    assert shown().keys() - set(KEYS) == set(), "tests carry keys of no promise"


def test_page_is_the_one_of_today() -> None:
    assert PAGE.read_text() == page(shown()), "make promises makes it anew"


def test_each_key_of_a_test_is_read() -> None:
    source = (
        '@pytest.mark.promise("a", "b")\n@pytest.mark.django_db\ndef test_it() -> None: ...\ndef test_other(): ...\n'
    )
    assert list(keys_of(source)) == [("test_it", "a"), ("test_it", "b")]


def test_a_promise_that_no_test_shows_makes_no_page() -> None:
    with pytest.raises(KeyError):
        page({key: [] for key in KEYS[1:]})
