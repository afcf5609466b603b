"""What a person does to sign in, as the tests do it."""

import re
from typing import TYPE_CHECKING

from django.core import mail
from django.test import Client
from django.urls import reverse

if TYPE_CHECKING:  # the test client's answer has a name in the stubs only
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

LOGIN = "/accounts/login/"
CONFIRM = "/accounts/login/code/confirm/"
PASSWORD = "a long enough passphrase"


def ask_for_code(client: Client, email: str, **data: str) -> "Answer":
    return client.post(LOGIN, {"login": email, **data})


def mailed_code() -> str:
    """The code in the newest mail."""
    found = re.search(r"\d{4}-\d{4}", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found[0]


def wrong_code() -> str:
    """A code that is not the one in the newest mail."""
    return "1111-1111" if mailed_code() != "1111-1111" else "2222-2222"


def enter_code(client: Client, code: str, **data: str) -> "Answer":
    return client.post(CONFIRM, {"code": code, **data})


def is_signed_in(client: Client) -> bool:
    return client.get(reverse("account_change_password")).status_code == 200


def shown(answer: "Answer", email: str) -> str:
    """The page, without what must differ between two visitors: the CSRF token and the address typed."""
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "TOKEN", answer.content.decode())
    return page.replace(email, "ADDRESS")
