"""Pictures for tests: made here, none is kept."""

import io
import struct
import zlib
from typing import Any

from PIL import Image


def drawn(width: int = 200, height: int = 100, *, mode: str = "RGB", color: Any = None) -> Image.Image:
    """Left half red, right half blue, unless `color` says otherwise."""
    if color is not None:
        return Image.new(mode, (width, height), color)
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def forged_png(width: int, height: int) -> bytes:
    """A PNG whose head tells a size that is not there."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def chunks_of_webp(content: bytes) -> set[bytes]:
    """The kinds of chunk in a WebP file."""
    assert content[:4] == b"RIFF"
    assert content[8:12] == b"WEBP"
    found, at = set(), 12
    while at < len(content):
        found.add(content[at : at + 4])
        at += 8 + (size := struct.unpack("<I", content[at + 4 : at + 8])[0]) + size % 2
    return found
