"""SumUp's webhook is unsigned: whatever is sent, nothing changes that SumUp itself does not say when asked."""

import json
import uuid
from io import BytesIO
from urllib.parse import unquote

import pytest
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from ledger.locking import Contention
from ledger.models import History
from payments.checkouts.opening import PageUnavailable, hosted_page
from payments.checkouts.settling import Verdict, settle
from payments.models import Case, Checkout
from tests.simulator import SimulatorProcess
from tests.steps import (
    WEBHOOK,
    later,
    mail_jobs,
    moves_to,
    opened,
    ordered,
    paid_at_sumup,
    states_of,
    sumup_id,
    tell,
)

pytestmark = pytest.mark.django_db


def rows() -> list[object]:
    """What a forged webhook could have changed."""
    return [
        list(Checkout.objects.values("state", "sumup_status", "asked_at")),
        History.objects.count(),
        Case.objects.count(),
        ProcrastinateJob.objects.count(),
    ]


def send(client: Client, body: bytes, **extra: str) -> int:
    response = client.post(WEBHOOK, body, content_type="application/json", **extra)  # type: ignore[arg-type]  # WSGI names
    assert response.content == b""
    return response.status_code


def test_a_webhook_confirms_and_its_repetitions_change_nothing(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)

    assert {tell(client, sumup_id(checkout)) for _ in range(100)} == {204}

    assert sumup.calls("read") == 1
    assert moves_to("confirmed", order) == [1]
    assert mail_jobs() == 1
    assert History.objects.of(order).get(field="state").actor == "webhook"


def test_a_webhook_needs_no_csrf_token_and_no_cookie(sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)

    assert tell(Client(enforce_csrf_checks=True), sumup_id(checkout)) == 204
    assert states_of(order) == ["confirmed"]


@pytest.mark.parametrize("event_type", ["CHECKOUT_STATUS_CHANGED", "checkout.paid", "", None, 7, ["PAID"]])
def test_what_the_webhook_calls_the_event_does_not_matter(
    client: Client, sumup: SimulatorProcess, event_type: object
) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)

    body = {"event_type": event_type, "id": checkout.sumup_id, "status": "FAILED", "amount": 1, "surprise": [1]}
    assert send(client, json.dumps(body).encode()) == 204
    assert states_of(order) == ["confirmed"]


def test_a_webhook_that_says_paid_about_what_is_not_confirms_nothing(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = opened(order)
    body = {"event_type": "CHECKOUT_STATUS_CHANGED", "id": checkout.sumup_id, "status": "PAID", "amount": 12}

    assert send(client, json.dumps(body).encode()) == 204
    assert states_of(order) == ["reserved"]


@pytest.mark.promise("forged-webhook-unknown")
def test_an_unknown_id_is_not_found_and_makes_no_call(client: Client, sumup: SimulatorProcess) -> None:
    opened(ordered())
    before = rows()

    for _ in range(20):
        assert tell(client, str(uuid.uuid4())) == 404

    assert sumup.calls("read") == sumup.calls("find") == 0
    assert rows() == before


#: Ids as SumUp might make them: whatever of them is stored, a webhook may name.
IDS = ["88fcf8de-304d-4820-8f1c-ec880290eb92", "x", "a.b", "urn:sumup:checkout:1", "a/b", "../../v0.1/checkouts",
       "x?checkout_reference=", "a b", "ａ", "{1}", "c#1", "%2e%2e", "…", "a" * 255]  # fmt: skip


@pytest.mark.parametrize("told", IDS)
@pytest.mark.promise("webhook-takes-any")
def test_any_id_that_was_stored_is_taken_and_asked_about(client: Client, sumup: SimulatorProcess, told: str) -> None:
    sumup.faults(create="lost_answer", times=1)
    with pytest.raises(PageUnavailable):
        hosted_page(ordered(), at=timezone.now())
    sumup.faults(tamper={"id": told})
    checkout = Checkout.objects.get()
    settle(checkout.pk, who="test", at=later(-5))
    checkout.refresh_from_db()
    assert checkout.sumup_id == told

    assert tell(client, told) == 503, "SumUp does not know this id"

    assert unquote(sumup.questions("/v0.1/checkouts/")[-1]["path"]) == f"/v0.1/checkouts/{told}"


@pytest.mark.parametrize("told", ["", "a" * 256, "a\nb", "\u200b", "..", 7, None])
@pytest.mark.promise("webhook-takes-any")
def test_an_id_that_a_webhook_could_not_name_is_never_stored(
    client: Client, sumup: SimulatorProcess, told: object
) -> None:
    sumup.faults(create="lost_answer", times=1)
    with pytest.raises(PageUnavailable):
        hosted_page(ordered(), at=timezone.now())
    sumup.faults(tamper={"id": told})
    checkout = Checkout.objects.get()

    assert settle(checkout.pk, who="test", at=timezone.now()) is Verdict.UNKNOWN

    checkout.refresh_from_db()
    assert (checkout.sumup_id, checkout.state) == (None, "new")


def test_an_id_that_could_be_but_is_not_ours_is_not_found(client: Client, sumup: SimulatorProcess) -> None:
    opened(ordered())
    before = rows()

    assert [tell(client, told) for told in IDS] == [404] * len(IDS)

    assert sumup.calls("read") == sumup.calls("find") == 0
    assert rows() == before


def test_our_own_keys_are_no_ids(client: Client, sumup: SimulatorProcess) -> None:
    checkout = opened(ordered())

    for name in (str(checkout.pk), checkout.reference, checkout.order.code, str(checkout.order.cart_token)):
        assert tell(client, name) == 404
    assert sumup.calls("read") == 0


BAD_BODIES = {
    "empty": b"",
    "not JSON": b"{not json",
    "form": b"id=abc",
    "NUL": b'{"id": "\\u0000"}',
    "raw NUL": b'{"id": "a\x00b"}',
    "bytes": b"\xff\xfe\x00",
    "byte order mark": b"\xef\xbb\xbf{}",
    "surrogate": b'{"id": "\\ud800"}',
    "deep": b"[" * 16_000,
    "deep object": b'{"a":' * 3_000,
    "array": b'[{"id": "x"}]',
    "string": b'"x"',
    "number": b"7",
    "huge number": b"9" * 16_000,
    "null": b"null",
    "NaN": b'{"id": NaN}',
    "no id": b"{}",
    "id is null": b'{"id": null}',
    "id is a number": b'{"id": 7}',
    "id is a bool": b'{"id": true}',
    "id is a list": b'{"id": ["x"]}',
    "id is an object": b'{"id": {"id": "x"}}',
    "id is empty": b'{"id": ""}',
    "id is long": b'{"id": "' + b"a" * 300 + b'"}',
    "id is dots": b'{"id": ".."}',
    "id has a line end": b'{"id": "a\\nb"}',
    "id cannot be seen": b'{"id": "\\u200b"}',
    "a byte too long": b" " * (16 * 1024 + 1),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
@pytest.mark.promise("forged-webhook-unknown")
def test_a_body_that_is_no_hint_is_a_bad_request(client: Client, sumup: SimulatorProcess, body: bytes) -> None:
    opened(ordered())
    before = rows()

    assert send(client, body) == 400
    assert sumup.calls("read") + sumup.calls("find") == 0
    assert rows() == before


def test_ten_megabytes_are_refused_before_a_byte_is_read(client: Client, sumup: SimulatorProcess) -> None:
    opened(ordered())

    for body, told in ((b"a" * 10_000_000, {}), (b"{}", {"CONTENT_LENGTH": "99999999999999999999"})):
        answer = client.post(WEBHOOK, body, content_type="application/json", **told)  # type: ignore[arg-type]
        assert answer.status_code == 413
    assert sumup.calls("read") + sumup.calls("find") == 0


@pytest.mark.parametrize("length", ["", "x", "-1", "٣", "1e3", "99999"])
def test_a_length_that_is_none_is_a_bad_request(client: Client, sumup: SimulatorProcess, length: str) -> None:
    checkout = opened(ordered())
    body = json.dumps({"id": checkout.sumup_id}).encode()

    assert send(client, body, CONTENT_LENGTH=length) == 400
    assert sumup.calls("read") == 0


def test_a_missing_length_is_a_bad_request(sumup: SimulatorProcess) -> None:
    """A chunked body is never read: nobody knows where it ends."""
    from django.core.handlers.wsgi import WSGIRequest

    from payments.views import webhook

    surroundings = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": WEBHOOK,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(json.dumps({"id": opened(ordered()).sumup_id}).encode()),
    }

    assert webhook(WSGIRequest(surroundings)).status_code == 400
    assert sumup.calls("read") == 0


def test_an_id_is_taken_whatever_the_content_type_says(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    body = json.dumps({"id": checkout.sumup_id})

    assert client.post(WEBHOOK, body, content_type="text/plain").status_code == 204
    assert states_of(order) == ["confirmed"]


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_the_webhook_is_a_post(client: Client, method: str) -> None:
    assert getattr(client, method)(WEBHOOK).status_code == 405


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["500", "404", "garbage", "429", "401", "drop"])
def test_a_webhook_while_sumup_cannot_be_asked_is_unavailable_and_leaves_a_job(
    client: Client, sumup: SimulatorProcess, fault: str
) -> None:
    order = ordered()
    checkout = paid_at_sumup(sumup, order)
    sumup.faults(read=fault)

    assert [tell(client, sumup_id(checkout)) for _ in range(3)] == [503] * 3

    asks = [job for job in ProcrastinateJob.objects.all() if job.args == {"checkout_pk": checkout.pk}]
    assert len(asks) == 1
    assert states_of(order) == ["reserved"]


def test_a_webhook_just_after_a_question_is_not_lost(client: Client, sumup: SimulatorProcess) -> None:
    """The poll asked a moment ago and was told PENDING: the answer 503 makes SumUp try again, and a job asks."""
    order = ordered()
    checkout = opened(order)
    assert settle(checkout.pk, who="poll", at=later()) is Verdict.WAITING
    sumup.pay(sumup_id(checkout))

    assert tell(client, sumup_id(checkout)) == 503
    assert ProcrastinateJob.objects.filter(task_name="payments.jobs.ask_about").exists()


@pytest.mark.promise("webhook-before-our")
def test_a_webhook_before_our_own_commit_is_settled_by_its_retry(client: Client, sumup: SimulatorProcess) -> None:
    order = ordered()
    sumup.faults(create="lost_answer", times=1)
    client.force_login(order.user)
    client.post(f"/orders/{order.code}/pay/")
    early = sumup.ledger()["checkouts"][0]["id"]
    assert tell(client, early) == 404

    client.post(f"/orders/{order.code}/pay/")
    sumup.pay(early)

    assert tell(client, early) == 204
    assert states_of(order) == ["confirmed"]


def test_a_webhook_in_a_crowd_that_is_too_big_is_unavailable(
    sumup: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = opened(ordered())

    def crowded(*_args: object, **_how: object) -> Verdict:
        raise Contention

    monkeypatch.setattr("payments.checkouts.admission.settle", crowded)
    client = Client(raise_request_exception=False)

    assert tell(client, sumup_id(checkout)) == 503
