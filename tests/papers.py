"""Reading what is printed: the text of a PDF's pages, and the QR codes on them."""

import io
from contextlib import closing

import pypdfium2
import zxingcpp
from PIL import Image


def pages_of(content: bytes) -> list[str]:
    """The text of each page."""
    with closing(pypdfium2.PdfDocument(content)) as document:
        return [page.get_textpage().get_text_range() for page in document]


def pictures_of(content: bytes) -> list[Image.Image]:
    with closing(pypdfium2.PdfDocument(content)) as document:
        return [page.render(scale=2).to_pil() for page in document]


def codes_of(content: bytes) -> list[str]:
    """What the QR codes of a PDF say, in the order of its pages."""
    return [found.text for picture in pictures_of(content) for found in zxingcpp.read_barcodes(picture)]


def codes_in_png(content: bytes) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(content)))]
