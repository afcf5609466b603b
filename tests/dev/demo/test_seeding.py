"""The demo is put into an empty database or its own, never beside somebody's shop."""

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import User
from dev.demo.scenery import PAGES
from dev.demo.seeding import is_a_shop
from tests.factories import PageFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("begun", ["a page", "a superuser"])
def test_a_shop_gets_no_accounts_whose_password_is_told(settings: Settings, begun: str) -> None:
    """`make run` where DATABASE_URL names the database of a deployment."""
    settings.DEBUG = True
    assert not is_a_shop()
    if begun == "a page":
        PageFactory.create()
    else:
        UserFactory.create(is_staff=True, is_superuser=True)
    people = User.objects.count()
    with pytest.raises(CommandError, match="somebody's shop"):
        call_command("seed_demo")
    assert User.objects.count() == people


def test_a_demo_that_somebody_went_on_with_is_one() -> None:
    for slug in (next(iter(PAGES)), "mine"):
        PageFactory.create(slug=slug)
    UserFactory.create(is_staff=True)
    assert not is_a_shop()
