"""The demo's pictures: drawn again, they are the ones in the repository, and light enough for a listing."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from dev.demo import posters, products
from dev.demo.seeding import PICTURES


def test_draw_all_makes_every_stored_picture_in_its_size(tmp_path: Path) -> None:
    posters.draw_all(tmp_path)
    posters.draw_all(tmp_path, products.POSTERS)

    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in PICTURES.iterdir()}
    assert len(drawn) == 17
    for name in drawn:
        with Image.open(PICTURES / name) as stored, Image.open(tmp_path / name) as fresh:
            assert stored.size == (1280, 720)
            # Another processor may round a colour otherwise; another drawing is off by far more.
            off = ImageStat.Stat(ImageChops.difference(stored.convert("RGB"), fresh.convert("RGB"))).mean
            assert max(off) < 1


def test_draw_all_refuses_a_picture_that_is_too_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posters, "MOST_BYTES", 1000)

    with pytest.raises(ValueError, match=r"jazz-night\.webp has \d+ bytes"):
        posters.draw_all(tmp_path)
