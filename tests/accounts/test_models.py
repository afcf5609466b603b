"""The user row."""

import pytest
from allauth.account.models import EmailAddress
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts.codes import owner_of
from accounts.models import User
from tests.accounts.steps import PASSWORD, ask_for_code
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_address_is_stored_in_lower_case_however_it_comes() -> None:
    user = User(email=" Ann@Example.ORG ")
    user.save()
    assert User.objects.get_by_natural_key("ANN@example.org") == user
    assert User.objects.get().email == "ann@example.org"


def test_one_address_has_one_user_whatever_its_case() -> None:
    UserFactory.create(email="ann@example.org")
    with pytest.raises(IntegrityError, match="user_email_unique"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (password, is_superuser, email, name, is_staff, is_active, date_joined) "
            "VALUES ('', false, 'ANN@example.org', '', false, true, now())"
        )


def test_natural_key_does_not_match_a_lookalike() -> None:
    UserFactory.create(email="admin@example.org")
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key("adm\u0131n@example.org")


def test_an_address_given_up_no_longer_opens_the_account(client: Client) -> None:
    user = owner_of("old@example.org")
    user.set_password(PASSWORD)
    user.email = "new@example.org"
    user.save()
    assert not EmailAddress.objects.exists()
    assert ask_for_code(client, "old@example.org", password=PASSWORD).status_code == 422
    assert owner_of("old@example.org") != user


def test_who_reads_the_mailbox_takes_the_address_over() -> None:
    earlier = UserFactory.create(email="erased@example.org")
    EmailAddress.objects.create(user=earlier, email="ann@example.org", verified=True, primary=True)
    user = owner_of("ann@example.org")
    assert user != earlier
    assert EmailAddress.objects.get(email="ann@example.org").user == user
