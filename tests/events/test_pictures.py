"""One way in for all pictures: what may come, what is kept of it, how it is shown and when its files go."""

import io
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models, transaction
from django.test import Client
from PIL import Image, ImageCms, PngImagePlugin
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from dev.shape import ROOMS
from events.developing import LONGEST_SIDE, MOST_PIXELS, WIDTHS, NotAPicture, develop, names_of
from events.models import CalendarEntry, Page, Role
from events.pictures import MOST_BYTES, Pictured, PictureField, PictureFormField, pictured_models
from market.models import Product
from tests.desk import House, change, house, member, sent, signed_in_as
from tests.factories import PageFactory, ProductFactory
from tests.pictures import chunks_of_webp, drawn, encoded, forged_png

pytestmark = pytest.mark.django_db

WORDS = "Red and blue halves"
NAME = re.compile(r"pictures/[0-9a-f]{32}-\d+x\d+\.webp")


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which no upload writes to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def files_in(media: Path) -> list[str]:
    return sorted(path.relative_to(media).as_posix() for path in media.rglob("*") if path.is_file())


def developed(content: bytes) -> dict[str, Image.Image]:
    files = develop(io.BytesIO(content)).files
    return {name: Image.open(io.BytesIO(file)) for name, file in files.items()}


def widest(content: bytes) -> Image.Image:
    return list(developed(content).values())[-1]


def rgba_at(image: Image.Image, x: int, y: int) -> list[int]:
    return list(image.convert("RGBA").crop((x, y, x + 1, y + 1)).tobytes())


def upload(content: bytes, name: str = "photo.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "image/jpeg")


# --- Every picture of the project


@pytest.mark.promise("every-file-field")
def test_every_picture_of_every_model_comes_this_way() -> None:
    files = [
        (model, field)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.FileField)
    ]
    assert {model for model, _field in files if not model._meta.proxy} == {Page, CalendarEntry, Product}
    assert {model for model, _field in files if not model._meta.proxy} == set(pictured_models())
    for model, field in files:
        assert isinstance(field, PictureField), f"{model.__name__}.{field.name}"
        assert issubclass(model, Pictured), "with the words that stand for it"


def test_no_form_has_another_field_for_files() -> None:
    """A source walk: forms.FileField and forms.ImageField are named in the one place only."""
    root = Path(__file__).resolve().parent.parent.parent
    found = {
        path.relative_to(root).as_posix()
        for room in ROOMS
        for path in (root / room).rglob("*.py")
        if "/migrations/" not in path.as_posix() and re.search(r"\b(FileField|ImageField)\b", path.read_text())
    }
    assert found == {"events/pictures.py"}


# --- What is kept


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.promise("picture-keeps-word")
def test_each_kind_is_kept_as_webp_in_a_few_widths(kind: str) -> None:
    found = developed(encoded(drawn(2000, 1000), kind))

    assert [image.size for image in found.values()] == [(480, 240), (960, 480), (1600, 800)]
    assert {image.format for image in found.values()} == {"WEBP"}
    assert all(NAME.fullmatch(name) for name in found)
    assert list(found) == names_of(list(found)[-1])


@pytest.mark.parametrize(
    ("size", "widths"),
    [((1, 1), [1]), ((480, 300), [480]), ((481, 300), [480, 481]), ((960, 10), [480, 960]), ((1600, 9), list(WIDTHS))],
)
def test_nothing_is_made_larger(size: tuple[int, int], widths: list[int]) -> None:
    assert [image.width for image in developed(encoded(drawn(*size), "PNG")).values()] == widths


def test_names_are_of_the_content() -> None:
    one, same, other = (develop(io.BytesIO(encoded(drawn(w), "PNG"))).name for w in (200, 200, 201))
    assert one == same
    assert one != other


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.promise("picture-keeps-word")
def test_a_picture_stands_upright_whatever_its_exif_says(orientation: int) -> None:
    upright = drawn(200, 100)
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what undoes each orientation
    laid = upright.transpose(Image.Transpose(turns[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation

    image = widest(encoded(laid, "PNG", exif=exif))

    assert image.size == (200, 100)
    assert rgba_at(image, 20, 50)[0] > 200
    assert rgba_at(image, 180, 50)[2] > 200


def test_a_wide_picture_laid_on_its_side_is_bounded_when_it_stands() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert widest(encoded(drawn(3000, 2000), exif=exif)).size == (1600, 2400)


@pytest.mark.promise("picture-keeps-word")
def test_no_word_of_metadata_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret words"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # where it was taken
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "secret words")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    hidden: dict[str, dict[str, Any]] = {
        "JPEG": {"exif": exif, "comment": b"secret words", "icc_profile": profile, "xmp": b"<x>secret words</x>"},
        "PNG": {"exif": exif, "pnginfo": text, "icc_profile": profile},
        "WEBP": {"exif": exif, "icc_profile": profile, "xmp": b"<x>secret words</x>"},
        "AVIF": {"exif": exif, "icc_profile": profile, "xmp": b"<x>secret words</x>"},
    }
    for kind, options in hidden.items():
        content = encoded(drawn(1000, 500), kind, **options) + b"secret words at the end"
        assert b"secret words" in content
        for file in develop(io.BytesIO(content)).files.values():
            assert chunks_of_webp(file) <= {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"}, kind
            assert b"secret" not in file


def test_colours_of_a_profile_are_turned_into_srgb() -> None:
    """In a profile whose red is green, red is green: the numbers change before the profile goes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    for mode in ("RGB", "RGBA"):
        for icc, brightest in ((b"", 0), (profile, 0), (swapped, 1), (b"no profile", 0)):
            image = widest(encoded(drawn(mode=mode, color="red"), "PNG", icc_profile=icc))
            pixel = rgba_at(image, 9, 9)[:3]
            assert pixel.index(max(pixel)) == brightest, (mode, icc[:10])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_each_mode_of_a_png_is_read(mode: str) -> None:
    color = 40_000 if mode == "I;16" else None
    image = widest(encoded(drawn(mode=mode, color=color), "PNG"))
    assert image.size == (200, 100)
    if mode == "I;16":
        assert abs(rgba_at(image, 50, 50)[0] - 40_000 // 256) < 3


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr"])
def test_each_mode_of_a_jpeg_is_read(mode: str) -> None:
    assert widest(encoded(drawn(mode=mode))).mode == "RGB"


def test_what_is_transparent_stays_so() -> None:
    clear = Image.new("RGBA", (600, 300), (255, 0, 0, 0))
    palette = drawn(mode="P")
    for content in (encoded(clear, "PNG"), encoded(palette, "PNG", transparency=palette.getpixel((9, 9)))):
        assert rgba_at(widest(content), 9, 9)[3] == 0


def test_of_a_film_the_first_frame_is_kept() -> None:
    frames = [drawn(color="red"), drawn(color="blue"), drawn(color="green")]
    for kind in ("WEBP", "PNG", "AVIF"):
        image = widest(encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100))
        assert getattr(image, "n_frames", 1) == 1
        assert rgba_at(image, 9, 9)[0] > 200


# --- What is refused

GOOD = encoded(drawn(1000, 500))
REFUSED = {
    "pdf": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>", "cannot be read"),
    "real pdf": (encoded(drawn(), "PDF"), "cannot be read"),
    "eps": (encoded(drawn(), "EPS"), "cannot be read"),
    "mpg": (b"\x00\x00\x01\xb3\x20\x00\x20\x00", "cannot be read"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "cannot be read"),
    "html": (b"<html><script>alert(1)</script>", "cannot be read"),
    "gif": (encoded(drawn(), "GIF"), "cannot be read"),
    "tiff": (encoded(drawn(), "TIFF"), "cannot be read"),
    "bmp": (encoded(drawn(), "BMP"), "cannot be read"),
    "icon": (encoded(drawn(64, 64), "ICO"), "cannot be read"),
    "picture within something else": (b"%PDF-1.7\n" + GOOD, "cannot be read"),
    "cut jpeg": (GOOD[: len(GOOD) // 2], "cannot be read"),
    "cut png": (encoded(drawn(), "PNG")[:200], "cannot be read"),
    "cut webp": (encoded(drawn(), "WEBP")[:60], "cannot be read"),
    "cut avif": (encoded(drawn(), "AVIF")[:300], "cannot be read"),
    "head of a jpeg": (b"\xff\xd8\xff\xe0", "cannot be read"),
    "noughts": (b"\0" * 5000, "cannot be read"),
    "no pixels": (forged_png(0, 0), "cannot be read"),
    "size of nothing": (forged_png(2000, 1000), "cannot be read"),
    "13,000 x 13,000": (forged_png(13_000, 13_000), "too large"),
    "a bomb": (forged_png(200_000, 200_000), "too large"),
    "a line": (forged_png(1, 50_000_000), "too large"),
    "too long a side": (forged_png(LONGEST_SIDE + 1, 10), "too large"),
    "a pixel column too many": (forged_png(10_000, MOST_PIXELS // 10_000 + 1), "too large"),
    "12 MB and a byte": (GOOD + b"\0" * (MOST_BYTES + 1 - len(GOOD)), "12 MB"),
    "empty": (b"", "empty"),
}


@pytest.fixture
def one() -> House:
    return house("One")


@pytest.fixture
def owner(one: House) -> Client:
    return signed_in_as(member((one.page, Role.OWNER)))


def posted(client: Client, row: Page | CalendarEntry | Product, file: SimpleUploadedFile | str, **changes: str) -> str:
    """What the form of `row` answers to it, after a redirect; the picture has words unless `changes` say otherwise."""
    data: dict[str, object] = {**sent(client, change(row)), "picture_alt": WORDS, **changes, "picture": file}
    return client.post(change(row), data, follow=True).content.decode()


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.promise("picture-too-large")
def test_what_is_no_picture_is_refused_with_a_reason(what: str) -> None:
    content, words = REFUSED[what]
    for name in ("photo.jpg", "photo"):
        with pytest.raises(ValidationError, match=words):
            PictureFormField().clean(upload(content, name))


@pytest.mark.promise("picture-too-large")
def test_a_refusal_is_told_by_the_form_and_leaves_nothing(
    one: House, owner: Client, media: Path, temporary: Path
) -> None:
    data: dict[str, object] = {**sent(owner, change(one.page)), "picture_alt": WORDS}
    for what in ("real pdf", "cut jpeg", "13,000 x 13,000", "12 MB and a byte"):
        content, words = REFUSED[what]
        answer = owner.post(change(one.page), {**data, "picture": upload(content)}).content.decode()
        assert words in answer, what
        assert "it was not kept" not in answer, "one thing is wrong with it, and that is told"
    one.page.refresh_from_db()
    assert not one.page.picture
    assert files_in(media) == []
    assert list(temporary.iterdir()) == []


def test_the_name_of_an_upload_counts_for_nothing(one: House, owner: Client, media: Path, temporary: Path) -> None:
    """As a browser of an attacker's would send it."""
    data: dict[str, str] = {**sent(owner, change(one.page)), "picture_alt": WORDS}
    fields = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in data.items()
    )
    expected = sorted(develop(io.BytesIO(GOOD)).files)
    for name in (
        "../../../etc/x.jpg",
        "a\0b.jpg",
        "x" * 300 + ".jpg",
        "no picture.pdf",
        "ä\u202egpj.exe",
        "C:\\x",
        ".jpg",
    ):
        Page.objects.filter(pk=one.page.pk).update(picture="")
        head = f'--x\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'
        body = (fields + head).encode() + GOOD + b"\r\n--x--\r\n"
        answer = owner.post(change(one.page), body, content_type="multipart/form-data; boundary=x")
        assert answer.status_code == 302, name
        one.page.refresh_from_db()
        assert names_of(str(one.page.picture.name))[-1] in expected
        assert files_in(media) == expected
    assert list(temporary.iterdir()) == []


def test_code_that_saves_a_file_by_itself_goes_the_same_way(media: Path) -> None:
    page = PageFactory.create()
    page.picture = upload(encoded(drawn(600, 300)))
    page.save(update_fields=["picture"])
    page.refresh_from_db()
    assert files_in(media) == names_of(str(page.picture.name))
    with pytest.raises(NotAPicture):
        page.picture.save("a.jpg", upload(b"%PDF-1.7"))
    assert files_in(media) == names_of(str(page.picture.name))


# --- The words


@pytest.mark.promise("picture-has-words")
def test_a_picture_without_words_is_asked_for_them(one: House, owner: Client, media: Path) -> None:
    product = ProductFactory.create(page=one.page)
    for row in (one.page, one.entry, product):
        answer = posted(owner, row, upload(GOOD), picture_alt="   ")
        assert "Say in a few words what the picture shows." in answer
        assert "Choose the picture again" in answer
        row.refresh_from_db()
        assert not row.picture
    posted(owner, one.page, upload(GOOD))
    one.page.refresh_from_db()
    assert (bool(one.page.picture), one.page.picture_alt) == (True, WORDS)
    assert "Say in a few words" in posted(owner, one.page, "", picture_alt=""), "also when it was there before"


@pytest.mark.promise("picture-has-words")
def test_a_form_that_fails_otherwise_says_that_the_picture_is_lost(one: House, owner: Client, media: Path) -> None:
    """Its own field, or a form below it: the browser does not send the file again by itself."""
    again = "Choose the picture again"
    stranger = {"members-1-email": "nobody@example.org", "members-TOTAL_FORMS": "2"}
    assert again in posted(owner, one.entry, upload(GOOD), title="")
    assert again in posted(owner, one.page, upload(GOOD), **stranger)
    assert again not in posted(owner, one.entry, "", title="")
    assert files_in(media) == []


# --- How it is shown


def test_pages_show_it_in_its_widths_and_open_no_file(
    one: House, client: Client, media: Path, settings: Settings
) -> None:
    product = ProductFactory.create(page=one.page)
    rows: list[tuple[Pictured, str]] = [(one.page, "red"), (one.entry, "green"), (product, "blue")]
    for row, color in rows:
        row.picture_alt = WORDS
        row.picture.save("photo.jpg", upload(encoded(drawn(2000, 1500, color=color))), save=False)
        row.save(update_fields=["picture", "picture_alt"])
    settings.MEDIA_ROOT = media / "away"

    for row, address in (
        (one.page, one.page.get_absolute_url()),
        (one.entry, "/"),
        (one.entry, one.entry.get_absolute_url()),
        (product, one.page.get_absolute_url()),
        (product, product.get_absolute_url()),
    ):
        body = client.get(address).content.decode()
        (shown,) = [tag for tag in re.findall(r"<img [^>]+>", body) if str(row.picture.name) in tag]
        small, middle, large = (f"/media/{name}" for name in names_of(str(row.picture.name)))
        assert f'src="{large}"' in shown
        assert f'srcset="{small} 480w, {middle} 960w, {large} 1600w"' in shown
        assert 'width="1600" height="1200"' in shown
        assert f'alt="{WORDS}"' in shown
        assert 'sizes="' in shown


def test_a_picture_of_before_is_shown_with_the_title_for_words(client: Client, media: Path) -> None:
    page = PageFactory.create(name='The "House"')
    Page.objects.filter(pk=page.pk).update(picture="pages/old.jpg")
    body = client.get(page.get_absolute_url()).content.decode()
    (shown,) = re.findall(r"<img [^>]+>", body)
    assert 'src="/media/pages/old.jpg"' in shown
    assert 'alt="The &quot;House&quot;"' in shown
    assert "srcset" not in shown


def test_words_are_text_in_the_markup(one: House, owner: Client, client: Client, media: Path) -> None:
    posted(owner, one.page, upload(GOOD), picture_alt='"><script>alert(1)</script>')
    assert "<script>alert" not in client.get(one.page.get_absolute_url()).content.decode()


@pytest.mark.promise("only-named-content")
def test_what_is_named_by_its_content_is_never_asked_for_again(
    one: House, owner: Client, client: Client, media: Path
) -> None:
    posted(owner, one.page, upload(GOOD))
    for name in (*files_in(media), "pages/old.jpg", "pictures/old.webp", f"old/{files_in(media)[0]}"):
        path = media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(b"old")
        answer = client.get(f"/media/{name}")
        assert b"".join(answer) == path.read_bytes()
        cached = answer.headers.get("Cache-Control", "")
        assert (cached == "public, max-age=31536000, immutable") is bool(NAME.fullmatch(name)), name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if NAME.fullmatch(name):
            assert answer.headers["Content-Type"] == "image/webp"
    missing = client.get(f"/media/pictures/{'0' * 32}-1x1.webp")
    assert missing.status_code == 404
    assert "immutable" not in missing.headers.get("Cache-Control", "")
    assert client.post("/media/pictures/x").status_code in (403, 405)


# --- When files go


@pytest.mark.promise("files-row-has")
def test_files_of_a_replaced_or_removed_picture_go(
    one: House, owner: Client, media: Path, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        posted(owner, one.page, upload(GOOD))
    first = files_in(media)
    assert len(first) == 3
    with django_capture_on_commit_callbacks(execute=True):
        posted(owner, one.page, upload(encoded(drawn(500, 250))))
    assert len(files_in(media)) == 2
    assert not set(first) & set(files_in(media))
    with django_capture_on_commit_callbacks(execute=True):
        posted(owner, one.page, "", **{"picture-clear": "on", "picture_alt": ""})
    assert files_in(media) == []


@pytest.mark.promise("files-row-has")
def test_files_that_another_row_has_too_stay(
    one: House, owner: Client, media: Path, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    product = ProductFactory.create(page=one.page)
    for row in (one.page, product):
        posted(owner, row, upload(GOOD))
    shared = files_in(media)
    assert len(shared) == 3

    with django_capture_on_commit_callbacks(execute=True):
        posted(owner, one.page, "", **{"picture-clear": "on"})
    assert files_in(media) == shared
    with django_capture_on_commit_callbacks(execute=True):
        product.refresh_from_db()
        product.delete()
    assert files_in(media) == []


def test_what_is_undone_keeps_the_files(media: Path) -> None:
    page = PageFactory.create()
    page.picture.save("a", upload(GOOD))
    kept = files_in(media)
    with transaction.atomic():
        page.picture = ""
        page.save(update_fields=["picture"])
        transaction.set_rollback(True)
    assert files_in(media) == kept


def test_a_file_that_was_cut_off_is_written_again(media: Path) -> None:
    page = PageFactory.create()
    page.picture.save("a", upload(GOOD))
    whole = {name: (media / name).read_bytes() for name in files_in(media)}
    (media / next(iter(whole))).write_bytes(b"RIFF")

    ProductFactory.create().picture.save("b", upload(GOOD))

    assert {name: (media / name).read_bytes() for name in files_in(media)} == whole
