"""An uploaded picture becomes a few WebP files that hold its pixels and nothing else."""

import hashlib
import io
import re
import threading
from typing import IO, NamedTuple

from django.core.files.base import ContentFile
from django.utils.translation import gettext as _
from PIL import Image, ImageCms, ImageOps, features

#: Told by a file's first bytes; its name says nothing. JPEG includes what telephones make of two pictures (MPO).
FORMATS = ("JPEG", "PNG", "WEBP", *(["AVIF"] if features.check("avif") else []))
MOST_PIXELS = 50_000_000
LONGEST_SIDE = 16_000  # WebP ends at 16,383
WIDTHS = (480, 960, 1600)
FOLDER = "pictures"
NAME = re.compile(rf"{FOLDER}/(?P<digest>[0-9a-f]{{32}})-(?P<width>[0-9]+)x(?P<height>[0-9]+)\.webp")
#: EXIF's orientations that lay a picture on its side.
SIDEWAYS = range(5, 9)
PLAIN_MODES = {"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"}

#: A picture of MOST_PIXELS takes 200 MB while it is read: one at a time in a process.
_darkroom = threading.Lock()


class NotAPicture(ValueError):
    """It cannot become a picture; the text tells the organiser why and what to do."""


class Shape(NamedTuple):
    width: int
    height: int

    def at(self, width: int) -> "Shape":
        return Shape(width, max(1, round(self.height * width / self.width)))

    def smaller(self) -> list["Shape"]:
        """The widths below its own in which the picture is kept too."""
        return [self.at(width) for width in WIDTHS if width < self.width]


class Developed(ContentFile[bytes]):
    """A picture ready to be kept: `name` and content of its widest file; `files` are all, by name."""

    def __init__(self, files: dict[str, bytes], name: str) -> None:
        super().__init__(files[name], name=name)
        self.files = files


def shape_of(name: str) -> Shape | None:
    """Width and height of a developed picture, which its name tells; None for any other file."""
    found = NAME.fullmatch(name)
    return Shape(int(found["width"]), int(found["height"])) if found else None


def names_of(name: str) -> list[str]:
    """The files of the picture whose widest is `name`, the narrowest first; `name` alone of any other file."""
    shape, found = shape_of(name), NAME.fullmatch(name)
    return [*([_name(found["digest"], small) for small in shape.smaller()] if shape and found else []), name]


def develop(source: IO[bytes]) -> Developed:
    """The picture in `source`, upright, in sRGB, its first frame only, without a word of metadata, in WIDTHS.

    Raises NotAPicture. The names are of the content: the same picture has the same files.
    """
    with _darkroom:
        image = _read(source)
        files = [(shape, _webp(image, shape)) for shape in (*Shape(*image.size).smaller(), Shape(*image.size))]
    digest = hashlib.sha256(b"".join(content for _shape, content in files)).hexdigest()[:32]
    named = {_name(digest, shape): content for shape, content in files}
    return Developed(named, _name(digest, files[-1][0]))


def _name(digest: str, shape: Shape) -> str:
    return f"{FOLDER}/{digest}-{shape.width}x{shape.height}.webp"


def _read(source: IO[bytes]) -> Image.Image:
    """At most as wide as the widest of WIDTHS. What Pillow raises for a forged file is of many kinds."""
    too_large = NotAPicture(_("This picture is too large: at most 50 megapixels and 16,000 pixels a side."))
    try:
        source.seek(0)
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS or max(image.size) > LONGEST_SIDE:
                raise too_large
            return _upright(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large from error
    except NotAPicture:
        raise
    except Exception as error:
        words = _("This file cannot be read as a picture. Choose a JPEG, PNG, WebP or AVIF file.")
        raise NotAPicture(words) from error


def _upright(image: Image.Image) -> Image.Image:
    """In this order so that little is held at full size: a JPEG is made smaller while it is read."""
    if image.mode not in PLAIN_MODES or (image.has_transparency_data and image.mode != "LA"):
        image = _without_palette(image)
    sideways = image.getexif().get(0x0112) in SIDEWAYS
    image.thumbnail((LONGEST_SIDE, WIDTHS[-1]) if sideways else (WIDTHS[-1], LONGEST_SIDE))
    image = ImageOps.exif_transpose(_in_srgb(image))
    image = image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    image.info.clear()
    return image


def _without_palette(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, of which Pillow would take the lower ones
        return image.convert("I").point(lambda grey: grey / 256).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _in_srgb(image: Image.Image) -> Image.Image:
    """Its colours as its profile means them, for the profile goes; a profile that fits nothing is as none."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode == "LA":
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        turned = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return turned or image


def _webp(image: Image.Image, shape: Shape) -> bytes:
    resized = image if shape == image.size else image.resize(shape)
    out = io.BytesIO()
    resized.save(out, "WEBP", quality=82, method=4, icc_profile=b"", exif=b"", xmp=b"")
    return out.getvalue()
