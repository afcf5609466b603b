"""/readyz and the doctor: red when money, mail, keys or the comparison with SumUp need somebody, and what to do."""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import StringIO
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from whitenoise.storage import CompressedManifestStaticFilesStorage

from config import backups, doctor, views
from config.doctor import examine, is_local
from events.models import Merchant
from events.organising.calling_off import call_off
from ledger import clock
from orders.jobs import send_confirmation
from payments.cases import open_merchant_case
from payments.models import Case, ReconcileRun
from payments.states import CaseKind
from payments.sumup.skew import note, skew
from tests.desk import signed_in_as
from tests.dev.test_launcher import free_port
from tests.factories import EventFactory, UserFactory
from tests.ledger.psql import run
from tests.payments.money import sold
from tests.payments.sumup.test_wire import serving
from tests.simulator import MERCHANT, OTHER_KEY, PATIENCE, SimulatorProcess

pytestmark = pytest.mark.django_db


def ready(client: Client) -> tuple[int, list[str]]:
    answer = client.get("/readyz", headers={"Authorization": f"Bearer {settings.STATUS_TOKEN}"})
    return answer.status_code, answer.json()["problems"]


def ran(hours: float, **changes: object) -> None:
    at = timezone.now() - timedelta(hours=hours)
    facts: dict[str, object] = {"started_at": at, "finished_at": at, "who": "job", "outcome": "in_order"}
    ReconcileRun.objects.create(**(facts | changes))


def installed(hours: float) -> None:
    run("UPDATE django_migrations SET applied = now() - make_interval(secs => %s)", hours * 3600)


def test_a_fresh_installation_has_the_limit_s_time_for_its_first_comparison(client: Client) -> None:
    installed(5)
    assert ready(client) == (200, [])
    installed(7)
    assert ready(client) == (503, ["the books were not compared with SumUp's for 7 hours"])
    ran(1)
    assert ready(client) == (200, [])


@pytest.mark.parametrize(
    ("changes", "is_ready"),
    [
        ({}, True),
        ({"outcome": "person"}, True),
        ({"outcome": "unreachable"}, False),
        ({"outcome": "killed"}, False),
        ({"is_dry": True}, False),
    ],
)
def test_only_a_whole_comparison_counts(client: Client, changes: dict[str, object], is_ready: bool) -> None:
    installed(1000)
    ran(7)
    assert ready(client)[0] == 503
    ran(1, **changes)
    assert (ready(client)[0] == 200) is is_ready


def test_a_demo_that_slept_is_ready_when_it_wakes(client: Client, settings: Settings) -> None:
    installed(1000)
    settings.DEBUG = True
    assert ready(client) == (200, [])


def test_money_undecided_for_too_long_is_red(client: Client, settings: Settings, merchant: Merchant) -> None:
    for days, words in ((6, []), (8, ["money waits for a person for 8 days"])):
        opened = timezone.now() - timedelta(days=days, minutes=1)
        case = Case.objects.create(
            kind=CaseKind.STRAY, merchant=merchant, words="w", opened_at=opened, transaction_code=f"T{days}"
        )
        assert ready(client)[1] == words
    case.closed_at, case.decision = timezone.now(), "done"
    case.save(update_fields=["closed_at", "decision"])
    assert ready(client) == (200, [])
    settings.READY_UNDECIDED_DAYS = 5
    assert ready(client)[0] == 503


@pytest.mark.promise("revoked-key-loud")
def test_a_refused_key_is_red_at_once(client: Client, merchant: Merchant) -> None:
    open_merchant_case(merchant, words="401", at=timezone.now())
    assert ready(client) == (503, ["SumUp refuses a merchant"])


@pytest.mark.django_db(transaction=True)
def test_mail_that_waits_too_long_is_red(client: Client) -> None:
    send_confirmation.defer(order_id=1)
    assert ready(client)[0] == 200
    run("UPDATE procrastinate_events SET at = now() - interval '61 minutes'")
    assert ready(client) == (503, ["1 mail waits, the oldest for 1 hour"])
    run("UPDATE procrastinate_jobs SET status = 'failed'")
    assert ready(client) == (200, [])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2, []),
        (-2, []),
        (2.5, ["this machine's clock is 2.5 s behind the database's"]),
        (-3600, ["this machine's clock is 3600.0 s ahead of the database's"]),
    ],
)
@pytest.mark.promise("hold-all-moments")
def test_a_clock_that_is_not_the_database_s_is_red(client: Client, seconds: float, words: list[str]) -> None:
    try:
        clock.plant(timedelta(seconds=seconds))
        ran(1)
        assert ready(client) == (503 if words else 200, words)
    finally:
        clock.plant(timedelta(0))


def test_it_asks_a_fixed_number_of_times(
    client: Client, merchant: Merchant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ran(1)
    for number in range(3):
        Case.objects.create(
            kind=CaseKind.STRAY, merchant=merchant, words="w", opened_at=timezone.now(), transaction_code=f"T{number}"
        )
    with django_assert_num_queries(7):
        client.get("/readyz")


# --- Who is told what


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "Bearer wrong-token-of-16", "bearer {token}x", "Basic {token}", "{token}",
        "Bearer {token} ", "Bearer \u00e9{token}",
    ],
)  # fmt: skip
@pytest.mark.promise("readyz-tells-strangers")
def test_strangers_are_told_red_or_green_and_no_more(client: Client, merchant: Merchant, header: str) -> None:
    headers = {"Authorization": header.format(token=settings.STATUS_TOKEN)}
    assert client.get("/readyz", headers=headers).json() == {"ready": True}
    open_merchant_case(merchant, words="401", at=timezone.now())
    answer = client.get("/readyz", headers=headers, REMOTE_ADDR="127.0.0.1")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})


def test_a_superuser_is_told_all_of_it_and_other_staff_not(client: Client, merchant: Merchant) -> None:
    open_merchant_case(merchant, words="401", at=timezone.now())
    told = {"ready": False, "problems": ["SumUp refuses a merchant"]}
    assert signed_in_as(UserFactory.create(is_staff=True, is_superuser=True)).get("/readyz").json() == told
    assert signed_in_as(UserFactory.create(is_staff=True)).get("/readyz").json() == {"ready": False}
    assert client.get("/readyz", headers={"Authorization": f"bearer {settings.STATUS_TOKEN}"}).json() == told


def test_without_a_token_set_none_opens_it(client: Client, settings: Settings) -> None:
    settings.STATUS_TOKEN = ""
    for header in ("Bearer", "Bearer ", "Bearer  ", ""):
        assert client.get("/readyz", headers={"Authorization": header}).json() == {"ready": True}


# --- The doctor


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[None]:
    port = free_port()
    server = Controller(Sink(), hostname="127.0.0.1", port=port, ready_timeout=PATIENCE)
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    yield
    server.stop()


@pytest.fixture
def well(sumup: SimulatorProcess, settings: Settings, mail_server: None, tmp_path: Path) -> None:
    """All in order: a live account, mail, a worker, a comparison, a backup, an address that SumUp reaches."""
    settings.SITE_URL = "https://tickets.example.org"
    settings.DEFAULT_FROM_EMAIL = "Tickets <tickets+box@venue.coop>"
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    backups.note(tmp_path / "one.sql.gz")
    sumup.faults(tamper={})
    settings.DEBUG = False
    run("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    ran(1)


def wrong() -> dict[str, str]:
    return {row.name: f"{row.words} {row.advice}" for row in examine(at=timezone.now()) if not row.is_well}


def test_the_sandbox_is_the_only_thing_wrong_here(well: None) -> None:
    assert list(wrong()) == ["merchant MDEMO001"]
    assert "sandbox" in wrong()["merchant MDEMO001"]


def test_in_a_demo_the_sandbox_and_its_address_are_told(well: None, settings: Settings) -> None:
    settings.DEBUG = True
    assert list(wrong()) == ["debug"]
    settings.SITE_URL = "http://localhost:8000"
    assert list(wrong()) == ["address", "debug"]


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ("address", "address", "an address that SumUp can reach"),
        ("key", "merchant MDEMO001", "SumUp refuses its key"),
        ("other key", "merchant MDEMO001", "Enter the key of this very account"),
        ("no key", "merchant MDEMO001", "It has no API key"),
        ("currency", "merchant MDEMO001", "It takes EUR at SumUp and CHF here"),
        ("silence", "merchant MDEMO001", "could not be asked"),
        ("mail", "mail", "Mend EMAIL_URL"),
        ("no mail", "mail", "Mail goes to nobody"),
        ("worker", "worker", "Start manage.py procrastinate worker"),
        ("reconcile", "reconcile", "Run manage.py reconcile_payments"),
        ("no merchant", "merchants", "nothing can be paid"),
    ],
)
@pytest.mark.promise("revoked-key-loud")
def test_what_is_wrong_is_named_with_what_to_do(
    well: None, sumup: SimulatorProcess, settings: Settings, change: str, name: str, words: str
) -> None:
    match change:
        case "address":
            settings.SITE_URL = "https://192.168.1.4"
        case "key":
            sumup.faults(merchant="401")
        case "other key":
            Merchant.objects.update(api_key=OTHER_KEY)
        case "no key":
            Merchant.objects.update(api_key="")
        case "currency":
            Merchant.objects.update(currency="CHF")
        case "silence":
            sumup.faults(merchant="503")
        case "mail":
            settings.EMAIL_PORT = free_port()
        case "no mail":
            settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
        case "worker":
            run("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
        case "reconcile":
            installed(1000)
            ReconcileRun.objects.update(started_at=timezone.now() - timedelta(days=3))
        case "no merchant":
            Merchant.objects.all().delete()
    assert words in wrong()[name]


@pytest.mark.parametrize(
    ("sender", "is_well"),
    [
        ("Tickets <tickets@venue.coop>", True), ("box+office@tickets.venue.coop", True),
        ("Foyer <foyer@localhost>", False), ("noreply@localhost", False), ("a@venue", False), ("a@10.0.0.1", False),
        ("box@example.com", False), ("box@mail.example.org", False), ("box@venue.local", False),
        ("box@venue.invalid", False), ("box", False), ("", False), ("Box Office", False), ("a@b@c.org", False),
    ],
)  # fmt: skip
def test_a_sender_that_mail_servers_refuse_is_told(well: None, settings: Settings, sender: str, is_well: bool) -> None:
    settings.DEFAULT_FROM_EMAIL = sender
    assert ("sender" not in wrong()) is is_well
    settings.DEBUG = True
    assert "sender" not in wrong()


def test_a_backup_of_long_ago_or_none_is_told(well: None, settings: Settings) -> None:
    mark = backups.noted()
    for days, is_well in ((1.9, True), (2.1, False)):
        at = time.time() - days * 86400
        os.utime(mark, (at, at))
        assert ("backup" not in wrong()) is is_well
    assert wrong()["backup"].startswith("the last was made 2 days ago Run manage.py backup every night")
    mark.unlink()
    assert "none was made" in wrong()["backup"]
    mark.parent.rmdir()
    assert str(mark) in wrong()["backup"], "what another program is to touch"
    settings.DEBUG = True
    assert "backup" not in wrong()


def test_a_data_folder_that_cannot_be_written_or_is_full_is_told(
    well: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = Path("/proc/self/nowhere")
    assert "Make /proc/self writable" in wrong()["data folder"]
    settings.DATA_DIR, settings.MEDIA_ROOT = tmp_path, Path("/proc/self/media")
    assert "Make /proc/self writable" in wrong()["data folder"]
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(doctor, "FREE_LEAST", 10**18)
    assert "Make room" in wrong()["data folder"]


def words_of(name: str) -> str:
    return next(row.words for row in examine(at=timezone.now()) if row.name == name)


def test_owed_money_both_clocks_and_the_largest_tables_are_told(well: None) -> None:
    assert words_of("owed") == "nothing"
    assert words_of("database's clock") == "It and this machine's are 0.0 s apart."
    assert words_of("letters") == "UTF8"
    assert re.fullmatch(r"\d.* MB; the largest tables: \w+ \d\S* \wB, \w+ \d\S* \wB, \w+ \d\S* \wB", words_of("size"))


@pytest.mark.django_db(transaction=True)
def test_what_is_owed_is_told_with_its_sum_and_once(sumup: SimulatorProcess, settings: Settings) -> None:
    entry = EventFactory.create(capacity=5)
    sold(sumup, entry, 2)
    call_off(entry.pk, money_back=True, who="user:1", why="Rain")
    assert words_of("owed") == "€ 24.00 to buyers, for 2 things: the admin's front page sends it."
    later = timezone.now() + timedelta(days=settings.READY_OWED_DAYS, hours=1)
    assert [row.is_well for row in examine(at=later) if row.name == "owed"] == [False]


@pytest.fixture
def collected(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Production's storage of static files, and a process that has just begun; nothing was collected."""
    static = tmp_path / "static"
    settings.STATIC_ROOT = static
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    monkeypatch.setattr(views, "_seen", views._Seen())
    return static


def begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart: the list of what was collected is read once."""
    monkeypatch.setattr(doctor, "staticfiles_storage", CompressedManifestStaticFilesStorage())


@pytest.mark.promise("static-files-were")
def test_without_collected_static_files_it_is_not_ready(
    client: Client, collected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["static files are missing: manage.py collectstatic, and a restart"]
    begun_again(monkeypatch)
    assert ready(client) == (503, words)
    call_command("collectstatic", "--no-input", verbosity=0)
    assert ready(client) == (503, words), "this process does not know their names"
    begun_again(monkeypatch)
    assert ready(client) == (200, [])
    monkeypatch.setattr(views, "_seen", views._Seen())
    next(collected.glob("foyer.*.css")).unlink()
    assert ready(client) == (503, words)


def test_static_files_of_before_an_update_are_told(
    well: None, collected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_again(monkeypatch)
    assert "Run manage.py collectstatic" in wrong()["static files"]
    call_command("collectstatic", "--no-input", verbosity=0)
    begun_again(monkeypatch)
    assert "static files" not in wrong()
    (collected / "foyer.css").write_text("of yesterday")
    assert "foyer.css is missing, or of another version" in wrong()["static files"]


def test_a_database_of_before_an_update_ends_it(well: None) -> None:
    run("DELETE FROM django_migrations WHERE app = 'payments'")
    assert list(wrong()) == ["migrations"]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("127.0.0.1", True), ("10.1.2.3", True), ("::1", True), ("tickets", True),
        ("box.local", True), ("tickets.example.org", False), ("8.8.8.8", False),
    ],
)  # fmt: skip
def test_an_address_that_only_this_house_knows(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_the_command_tells_and_exits(well: None, settings: Settings) -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("doctor", stdout=out)
    assert end.value.code == 1
    assert "WRONG merchant MDEMO001" in out.getvalue()
    assert "ok    mail" in out.getvalue()
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["ok"] is False
    assert [row["name"] for row in told["findings"] if not row["ok"]] == ["merchant MDEMO001"]


def told_at(seconds: float) -> Callable[[socket.socket], None]:
    """SumUp's answer about a merchant, with a clock that is so many seconds ahead of ours."""

    def play(link: socket.socket) -> None:
        link.recv(65536)
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        body = json.dumps({"merchant_code": MERCHANT, "default_currency": "EUR"})
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        link.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    return play


@pytest.mark.parametrize(
    ("seconds", "planted", "words"),
    [
        (0, 0, "It and ours agree."),
        (4, 0, "It and ours agree."),
        (-4, 0, "It and ours agree."),
        (600, 0, r"It is (59\d|60\d) s ahead of ours\."),
        (-600, 0, r"It is (59\d|60\d) s behind ours\."),
        (0, 600, r"It is 600 s behind ours\."),
        (600, 600, "It and ours agree."),
    ],
)
@pytest.mark.promise("hold-all-moments")
def test_doctor_compares_sumups_clock_with_ours(
    merchant: Merchant, settings: Settings, seconds: int, planted: int, words: str
) -> None:
    """Ours is the database's: one machine with a wrong clock of its own does no harm."""
    try:
        clock.plant(timedelta(seconds=planted))
        with serving(told_at(seconds)) as port:
            settings.SUMUP_API_URL = f"http://127.0.0.1:{port}"
            [found] = [row for row in examine(at=timezone.now()) if row.name == "SumUp's clock"]
    finally:
        clock.plant(timedelta(0))
    assert re.fullmatch(words, found.words)
    assert found.is_well is ("agree" in words)


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Nov 2026 10:00:00 GMT", "12"])
def test_an_answer_whose_date_is_nonsense_says_nothing(date: str) -> None:
    now = datetime.now(UTC)
    note("http://nonsense", date, now, now)
    assert skew("http://nonsense") is None
