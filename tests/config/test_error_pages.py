"""What a visitor reads when something is wrong: what happened, and what now."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from tests.factories import UserFactory


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("400.html", "Go back, reload the page"),
        ("403_csrf.html", "send the form again"),
        ("500.html", "do not pay again yet"),
        ("503.html", "Please reload in a minute"),
    ],
)
def test_plain_pages_need_no_database_and_no_request(template: str, words: str) -> None:
    body = render_to_string(template)

    assert words in body
    assert "<script" not in body
    assert 'href="/static/foyer.css"' in body


def test_422_says_the_reason_and_leads_back() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()

    body = render_to_string("422.html", {"reason": "Only two are left.", "back": "/e/1-jazz/"}, request)

    assert "Only two are left." in body
    assert 'href="/e/1-jazz/"' in body


@pytest.mark.django_db
def test_404_is_a_page_of_the_site_for_visitors_and_users(client: Client) -> None:
    for _time in ("signed out", "signed in"):
        response = client.get("/no/such/address/")
        assert response.status_code == 404
        assert "This address leads nowhere" in response.content.decode()
        client.force_login(UserFactory.create())


@pytest.mark.django_db
def test_form_without_its_token_gets_a_page_that_helps() -> None:
    response = Client(enforce_csrf_checks=True).post("/e/1/buy/")

    assert response.status_code == 403
    assert "Please send that once more" in response.content.decode()
