"""Pictures of before an update are developed, and what no row has goes: the database of today loses nothing."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from events.developing import names_of, shape_of
from events.jobs import tidy_pictures
from events.models import Page
from events.old_pictures import YOUNG, develop_old, remove_left_behind
from tests.factories import EventFactory, PageFactory, ProductFactory
from tests.pictures import drawn, encoded

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def stored(media: Path, name: str, content: bytes) -> str:
    (media / name).parent.mkdir(exist_ok=True)
    (media / name).write_bytes(content)
    return name


def named_in_sql(table: str, pk: int, name: str) -> None:
    """As a database of before the update has it."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET picture = %s WHERE id = %s", [name, pk])


@pytest.mark.promise("update-loses-picture")
def test_old_pictures_of_every_kind_are_developed(
    media: Path, client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    page = PageFactory.create(name="House")
    entry, product = EventFactory.create(calendar__page=page), ProductFactory.create(page=page)
    old = {}
    for row, folder in ((page, "pages"), (entry, "entries"), (product, "products")):
        old[row] = stored(media, f"{folder}/photo.jpg", encoded(drawn(2000, 1000 + row.pk)))
        named_in_sql(row._meta.db_table, row.pk, old[row])
    assert "/media/pages/photo.jpg" in client.get(page.get_absolute_url()).content.decode()

    with django_capture_on_commit_callbacks(execute=True):
        assert develop_old() == 3

    for row, name in old.items():
        row.refresh_from_db()
        shape = shape_of(str(row.picture.name))
        assert shape is not None
        assert shape.width == 1600
        assert all((media / file).exists() for file in names_of(str(row.picture.name)))
        assert not (media / name).exists(), "with its EXIF"
    body = client.get(page.get_absolute_url()).content.decode()
    assert 'alt="House"' in body
    assert "srcset=" in body
    assert develop_old() == 0


@pytest.mark.parametrize("content", [None, b"%PDF-1.7", b""])
@pytest.mark.promise("update-loses-picture")
def test_a_missing_or_unreadable_file_stays_as_it_is(media: Path, content: bytes | None) -> None:
    page = PageFactory.create()
    if content is not None:
        stored(media, "pages/photo.jpg", content)
    named_in_sql("events_page", page.pk, "pages/photo.jpg")

    tidy_pictures(timestamp=0)

    assert Page.objects.values_list("picture", flat=True).get(pk=page.pk) == "pages/photo.jpg"
    assert (media / "pages" / "photo.jpg").exists() is (content is not None)


@pytest.mark.promise("files-row-has")
def test_files_that_no_row_has_go_after_a_day(media: Path) -> None:
    page = PageFactory.create()
    page.picture.save("photo", ContentFile(encoded(drawn(1000, 500))))
    kept = names_of(str(page.picture.name))
    left = [stored(media, f"pictures/{'0' * 32}-1x1.webp", b"x"), stored(media, "pages/replaced.jpg", b"x")]
    other = stored(media, "elsewhere/x.jpg", b"x")
    for name in (*kept, *left, other):
        os.utime(media / name, (0, 0))
    young = stored(media, f"pictures/{'1' * 32}-1x1.webp", b"x")

    assert remove_left_behind(at=timezone.now()) == 2

    assert all((media / name).exists() for name in (*kept, other, young))
    assert remove_left_behind(at=timezone.now() + YOUNG + timedelta(minutes=1)) == 1


def test_without_a_folder_there_is_nothing_to_do(media: Path) -> None:
    assert remove_left_behind(at=timezone.now()) == 0
