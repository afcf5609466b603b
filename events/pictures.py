"""The one way in for pictures: a field of models and of forms, and the files that it keeps."""

from collections.abc import Collection
from functools import partial
from typing import Any, TypeVar

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, models, transaction
from django.db.models.fields.files import ImageFieldFile
from django.forms.models import ModelForm
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.developing import FOLDER, Developed, NotAPicture, Shape, develop, names_of, shape_of

MOST_BYTES = 12 * 1024 * 1024


class PictureFile(ImageFieldFile):
    """What a row has of its picture. All is told by its name: no page opens a file."""

    @property
    def shape(self) -> Shape | None:
        """None: a file of before pictures were developed."""
        return shape_of(self.name or "")

    @property
    def srcset(self) -> str:
        shapes = [(name, shape_of(name)) for name in names_of(self.name or "")]
        return ", ".join(f"{self.storage.url(name)} {shape.width}w" for name, shape in shapes if shape)

    def save(self, name: str | None, content: File[Any], save: bool = True) -> None:  # noqa: ARG002  (Django's signature)
        """Keep `content`, developed first unless it is; `name` counts for nothing. Raises NotAPicture."""
        developed = content if isinstance(content, Developed) else develop(content)
        keep(developed)
        self.name = str(developed.name)
        setattr(self.instance, self.field.attname, self.name)
        self._committed = True
        if save:
            self.instance.save(update_fields=[self.field.name])


class PictureField(models.ImageField):
    """Every picture of the project stands in one (a test walks all models)."""

    attr_class = PictureFile

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"upload_to": FOLDER, **kwargs})

    def formfield(self, **kwargs: Any) -> Any:
        # The name of an upload may be as long as it likes: it is not kept.
        return super().formfield(**{"form_class": PictureFormField, "max_length": None, **kwargs})


class PictureFormField(forms.FileField):
    """Develops what was sent, so that the form says what is wrong with it."""

    def to_python(self, data: Any) -> Developed | None:
        sent = super().to_python(data)
        if sent is None:
            return None
        if sent.size > MOST_BYTES:
            raise ValidationError(gettext("This file is too large: a picture may have 12 MB."))
        try:
            return develop(sent)
        except NotAPicture as refusal:
            raise ValidationError(str(refusal)) from refusal

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), "accept": "image/jpeg,image/png,image/webp,image/avif"}


class Pictured(models.Model):
    """A row that may have a picture, with the words that stand for it."""

    picture = PictureField(
        _("picture"), blank=True, help_text=_("JPEG, PNG, WebP or AVIF, at most 12 MB and 50 megapixels.")
    )
    picture_alt = models.CharField(
        _("what the picture shows"),
        max_length=240,
        blank=True,
        default="",
        db_default="",  # a web process of before an update knows nothing of it
        help_text=_("Read out to who cannot see it, and shown while it does not load."),
    )

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As always; files of the picture that it had before go once that is certain, and nothing else has them."""
        with transaction.atomic():
            before = self._kept_before(kwargs.get("update_fields"))
            super().save(*args, **kwargs)
            if before and before != self.picture.name:
                transaction.on_commit(partial(remove_unnamed, [before]))

    def _kept_before(self, update_fields: Collection[str] | None) -> str:
        if self._state.adding or (update_fields is not None and "picture" not in update_fields):
            return ""
        rows = type(self)._base_manager.filter(pk=self.pk)
        return str(rows.values_list("picture", flat=True).first() or "")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        name = self.picture.name
        with transaction.atomic():
            gone = super().delete(*args, **kwargs)
            if name:
                transaction.on_commit(partial(remove_unnamed, [name]))
        return gone


Row = TypeVar("Row", bound=Pictured)


class PictureForm(ModelForm[Row]):
    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("picture") and "picture_alt" in data and not data["picture_alt"]:
            self.add_error("picture_alt", gettext("Say in a few words what the picture shows."))
        return data

    def picture_is_lost(self) -> bool:
        """Shown again for whatever reason, it has lost the picture that was chosen: browsers do not send it twice."""
        return self.is_bound and self.add_prefix("picture") in self.files and "picture" not in self.errors


def pictured_models() -> list[type[Pictured]]:
    return [model for model in apps.get_models() if issubclass(model, Pictured) and not model._meta.proxy]


def keep(developed: Developed) -> None:
    """Store the files that are not there yet, whole; until the transaction ends nobody takes them for unnamed."""
    lock_files()
    for name, content in developed.files.items():
        if default_storage.exists(name) and default_storage.size(name) == len(content):
            continue
        default_storage.delete(name)  # cut off when a process was killed
        default_storage.save(name, ContentFile(content))


def remove_unnamed(names: Collection[str]) -> None:
    """Delete the files of those pictures that no row has."""
    with transaction.atomic():
        lock_files()
        for name in set(names) - named(names):
            for file in names_of(name):
                default_storage.delete(file)


def named(names: Collection[str] | None = None) -> set[str]:
    """Those of `names` (None: all) that a row has as its picture."""
    found: set[str] = set()
    for model in pictured_models():
        rows = model._base_manager.exclude(picture="")
        rows = rows if names is None else rows.filter(picture__in=names)
        found |= {str(name) for name in rows.values_list("picture", flat=True)}
    return found


def lock_files() -> None:
    """Storing and removing take turns: two rows with the same picture share its files."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('pictures', 0))")
