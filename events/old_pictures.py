"""What lies below MEDIA_ROOT and should not: pictures of before they were developed, and files that no row has."""

import logging
from datetime import datetime, timedelta
from functools import partial

from django.core.files.storage import default_storage
from django.db import transaction

from events.developing import FOLDER, NotAPicture, develop, names_of
from events.pictures import Pictured, keep, lock_files, named, pictured_models, remove_unnamed

log = logging.getLogger(__name__)

#: Where pictures are, and where they were.
FOLDERS = (FOLDER, "pages", "entries", "products")
#: A file that no row has is left alone for so long: its row may be on its way.
YOUNG = timedelta(days=1)
BATCH = 500


def develop_old() -> int:
    """Develop what was stored as it was sent; answers how many. A file that is missing or unreadable stays as it is."""
    done = 0
    for model in pictured_models():
        rows = model._base_manager.exclude(picture="").exclude(picture__startswith=f"{FOLDER}/")
        for pk, name in list(rows.order_by("pk").values_list("pk", "picture")):
            done += _develop(model, pk, name)
    return done


def _develop(model: type[Pictured], pk: int, name: str) -> bool:
    if not default_storage.exists(name):
        return False
    try:
        with default_storage.open(name) as file:
            developed = develop(file)
    except (NotAPicture, OSError) as error:
        log.warning("%s of %s %s is no picture and stays as it is: %s", name, model._meta.model_name, pk, error)
        return False
    with transaction.atomic():
        keep(developed)
        transaction.on_commit(partial(remove_unnamed, [name]))
        return bool(model._base_manager.filter(pk=pk, picture=name).update(picture=developed.name))


def remove_left_behind(*, at: datetime) -> int:
    """Delete files older than YOUNG at `at` that no row has: of rows deleted in bulk, of what was killed or undone."""
    with transaction.atomic():
        lock_files()
        kept = {file for name in named() for file in names_of(name)}
        left = [name for folder in FOLDERS for name in _files_in(folder) if name not in kept]
        left = [name for name in left if default_storage.get_modified_time(name) < at - YOUNG]
        for name in left:
            default_storage.delete(name)
    return len(left)


def _files_in(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]
    except FileNotFoundError:
        return []
