"""Draws the demo's event pictures: flat posters of a small venue, the same bytes on every run.

`python -m dev.demo.posters dev/demo/pictures` writes them (1280 x 720 webp, at most 60 KB each). They are kept in the
repository, so nothing draws at run time; this is how to change them.
"""

import math
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 1280, 720
OVERSAMPLING = 2
MOST_BYTES = 60_000
Point = tuple[float, float]


class Poster:
    """A canvas of 160 x 90 units, whatever its pixels."""

    def __init__(self, ground: str) -> None:
        self.scale = WIDTH * OVERSAMPLING / 160
        self.image = Image.new("RGB", (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING), ground)
        self.draw = ImageDraw.Draw(self.image)

    def _at(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def disc(self, x: float, y: float, radius: float, colour: str, *, squeeze: float = 1.0) -> None:
        tall = radius * squeeze
        self.draw.ellipse(self._at([(x - radius, y - tall), (x + radius, y + tall)]), fill=colour)

    def ring(self, x: float, y: float, radius: float, colour: str, width: float) -> None:
        box = self._at([(x - radius, y - radius), (x + radius, y + radius)])
        self.draw.ellipse(box, outline=colour, width=round(width * self.scale))

    def arc(self, x: float, y: float, radius: float, start: float, end: float, colour: str, width: float) -> None:
        """A stroke `width` thick inside the circle; degrees run clockwise from three o'clock."""
        box = self._at([(x - radius, y - radius), (x + radius, y + radius)])
        self.draw.arc(box, start, end, fill=colour, width=round(width * self.scale))

    def slice(self, x: float, y: float, radius: float, start: float, end: float, colour: str) -> None:
        box = self._at([(x - radius, y - radius), (x + radius, y + radius)])
        self.draw.pieslice(box, start, end, fill=colour)

    def shape(self, colour: str, *points: Point) -> None:
        self.draw.polygon(self._at(points), fill=colour)

    def bar(self, x: float, y: float, wide: float, tall: float, colour: str, *, round_by: float = 0) -> None:
        box = self._at([(x, y), (x + wide, y + tall)])
        self.draw.rounded_rectangle(box, radius=round_by * self.scale, fill=colour)

    def line(self, colour: str, width: float, *points: Point) -> None:
        self.draw.line(self._at(points), fill=colour, width=round(width * self.scale), joint="curve")

    def save(self, path: Path) -> int:
        """Writes the poster and returns its size in bytes."""
        small = self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        small.save(path, "WEBP", quality=82, method=6)
        return path.stat().st_size


def jazz_night() -> Poster:
    p = Poster("#14213d")
    p.disc(108, 40, 46, "#f2a900")
    p.disc(108, 40, 34, "#0b0f1a")
    for radius in (31, 28, 25, 22, 19, 16):
        p.ring(108, 40, radius, "#2c3350", 0.35)
    p.disc(108, 40, 12, "#d7263d")
    p.disc(108, 40, 2, "#f7f2e7")
    for i in range(9):
        p.shape("#f7f2e7", (i * 14 - 18, 90), (i * 14 - 5.2, 90), (i * 14 + 9.8, 62), (i * 14 - 3, 62))
    for i in (0, 1, 3, 4, 5, 7):
        p.shape("#0b0f1a", (i * 14 - 0.6, 79), (i * 14 + 6.4, 79), (i * 14 + 15.4, 62), (i * 14 + 8.4, 62))
    for i, tall in enumerate((10, 22, 34, 18, 28, 12)):
        p.bar(12 + i * 6, 34 - tall / 2, 3, tall, "#d7263d" if i % 2 else "#f2a900", round_by=1.5)
    return p


def film_club() -> Poster:
    p = Poster("#1d1a26")
    p.shape("#f6e7b4", (42, 41), (160, -6), (160, 84), (42, 47))
    p.shape("#fdf6dc", (42, 42.5), (160, 14), (160, 66), (42, 45.5))
    p.disc(150, 40, 17, "#e4572e")
    p.shape("#1d1a26", (132, 84), (150, 40), (168, 84))
    p.bar(14, 34, 30, 22, "#e4572e", round_by=3)
    for x, y, radius in ((20, 23, 13), (40, 26, 9)):
        p.disc(x, y, radius, "#f6e7b4")
        for spoke in range(5):
            angle = spoke * math.tau / 5 + 0.3
            p.disc(x + math.cos(angle) * radius * 0.56, y + math.sin(angle) * radius * 0.56, radius * 0.22, "#1d1a26")
        p.disc(x, y, radius * 0.14, "#1d1a26")
    p.shape("#a63a1c", (24, 56), (34, 56), (42, 76), (16, 76))
    p.bar(0, 76, 160, 14, "#0d0b12")
    for i in range(20):
        p.bar(2 + i * 8, 78, 4, 2.4, "#f6e7b4", round_by=0.6)
        p.bar(2 + i * 8, 85.6, 4, 2.4, "#f6e7b4", round_by=0.6)
    return p


def theatre() -> Poster:
    p = Poster("#2b0a17")
    p.shape("#5c1a2e", (80, -10), (128, 80), (32, 80))
    p.shape("#f4d9a0", (80, -6), (108, 78), (52, 78))
    p.disc(80, 78, 30, "#fff3d1", squeeze=0.22)
    p.slice(80, 52, 15, 0, 180, "#c1121f")
    p.bar(65, 38, 30, 17, "#c1121f", round_by=2)
    p.disc(74, 47, 2.6, "#fff3d1", squeeze=0.7)
    p.disc(86, 47, 2.6, "#fff3d1", squeeze=0.7)
    p.arc(80, 52, 8, 20, 160, "#fff3d1", 1.5)
    for side in (0, 1):
        for i in range(7):
            left, colour = i * 8.2, "#c1121f" if i % 2 == 0 else "#8d0b18"
            bend = 46 - i * 5
            points = [(left, 0), (left + 8.4, 0), (left * 0.62 + 5.2, bend + 34), (left * 0.62, bend + 36)]
            p.shape(colour, *[(160 - x, y) if side else (x, y) for x, y in points])
    for i in range(11):
        p.slice(i * 16, 6, 9, 0, 180, "#e2b13c" if i % 2 else "#c1121f")
    p.bar(0, 0, 160, 7, "#e2b13c")
    p.bar(0, 82, 160, 8, "#12040a")
    return p


def ceramics() -> Poster:
    p = Poster("#f1dfc9")
    p.disc(128, 24, 16, "#e07a3f")
    p.bar(0, 72, 160, 18, "#37534b")
    pots = ((34, 17, "#b5532c", "#f1dfc9"), (80, 22, "#26424a", "#e9b44c"), (124, 15, "#e9b44c", "#b5532c"))
    for x, wide, body, band in pots:
        middle = 72 - wide * 1.05
        p.disc(x, middle, wide, body, squeeze=1.05)
        p.shape(
            body,
            (x - wide * 0.36, middle - wide * 1.6),
            (x + wide * 0.36, middle - wide * 1.6),
            (x + wide * 0.55, middle - wide * 0.7),
            (x - wide * 0.55, middle - wide * 0.7),
        )
        p.disc(x, middle - wide * 1.6, wide * 0.5, body, squeeze=0.22)
        p.disc(x, middle - wide * 1.62, wide * 0.36, "#1b1410", squeeze=0.18)
        p.bar(x - wide * 0.97, middle - wide * 0.16, wide * 1.94, wide * 0.12, band)
        for i in range(-3, 4):
            reach = wide * 0.25
            p.shape(
                band,
                (x + i * reach - reach / 2, middle + wide * 0.34),
                (x + i * reach, middle + wide * 0.08),
                (x + i * reach + reach / 2, middle + wide * 0.34),
            )
    p.bar(0, 72, 160, 2, "#1f332d")
    return p


def puppets() -> Poster:
    p = Poster("#ffd23f")
    p.disc(80, 104, 52, "#ee4266")
    for x, top, coat, hat in ((46, 36, "#3b5bdb", "#ee4266"), (114, 30, "#0ead69", "#3b1f6b")):
        p.bar(x - 16, 5, 32, 2.4, "#3b1f6b", round_by=1)
        p.bar(x - 1.2, 1, 2.4, 10, "#3b1f6b", round_by=1)
        for dx, reach in ((-14, top + 26), (14, top + 20), (0, top)):
            p.line("#3b1f6b", 0.45, (x + dx, 7), (x + dx * 1.15, reach))
        p.line(coat, 4.4, (x, top + 17), (x - 15.5, top + 26))
        p.line(coat, 4.4, (x, top + 17), (x + 15.5, top + 20))
        p.disc(x - 16.2, top + 26.4, 2.9, "#ffe8d6")
        p.disc(x + 16.2, top + 19.8, 2.9, "#ffe8d6")
        p.line("#3b1f6b", 4, (x - 5, top + 38), (x - 8, top + 50))
        p.line("#3b1f6b", 4, (x + 5, top + 38), (x + 9, top + 48))
        p.shape(coat, (x, top + 10), (x + 13, top + 41), (x - 13, top + 41))
        p.disc(x, top + 9, 8.4, "#ffe8d6")
        p.shape(hat, (x - 8.6, top + 5), (x + 8.6, top + 5), (x + 2, top - 9))
        p.disc(x - 3, top + 8.4, 1.1, "#1b1036")
        p.disc(x + 3, top + 8.4, 1.1, "#1b1036")
        p.arc(x, top + 10, 4.2, 25, 155, "#ee4266", 1.1)
        for i in range(3):
            p.disc(x, top + 22 + i * 6, 1.2, "#ffd23f")
    return p


def choir() -> Poster:
    p = Poster("#0f4c5c")
    for i in range(5):
        p.line("#5fa8b5", 0.5, *[(x, 12 + i * 4.2 + math.sin(x / 18) * 4) for x in range(-2, 164, 2)])
    for i, (x, step) in enumerate(((18, 3), (40, 1), (62, 2), (84, 0), (106, 2), (128, 1), (148, 3))):
        y = 12 + step * 4.2 + math.sin(x / 18) * 4 + 2
        p.disc(x, y, 2.9, "#ffe8c2", squeeze=0.78)
        p.bar(x + 2.1, y - 12 + i % 2, 0.75, 12, "#ffe8c2")
    robes = ("#e36414", "#fb8b24", "#9a031e", "#ffb563", "#c44536")
    for row, (y, count, shift) in enumerate(((55, 8, 0), (67, 9, -10), (80, 8, 0))):
        for i in range(count):
            x = 10 + shift + i * 20
            p.disc(x, y + 20, 11.5, robes[(i + row * 2) % 5], squeeze=1.25)
            p.disc(x, y, 6.4, ("#f3d2b3", "#8d5a3a", "#d9a27a", "#5a3825")[(i * 3 + row) % 4])
            p.disc(x, y + 2.2, 1.5 + (i + row) % 2 * 0.5, "#2a0d10", squeeze=1.2)
            p.arc(x - 2.4, y - 1, 1.3, 180, 360, "#2a0d10", 0.45)
            p.arc(x + 2.4, y - 1, 1.3, 180, 360, "#2a0d10", 0.45)
    return p


def poetry_slam() -> Poster:
    p = Poster("#ff5d8f")
    for i in range(24):
        start = i * 15
        if i % 2:
            p.slice(80, 36, 130, start, start + 7.5, "#ff86ab")
    p.disc(80, 36, 29, "#fff4e0")
    p.bar(78.4, 54, 3.2, 40, "#1a1423")
    p.bar(69, 15, 22, 33, "#1a1423", round_by=11)
    for i in range(5):
        p.line("#6d5f84", 0.7, (71.5, 20 + i * 3.2), (88.5, 20 + i * 3.2))
    p.bar(69, 36, 22, 3, "#ffc43d")
    p.arc(80, 38, 17, 5, 175, "#1a1423", 2.2)
    for side in (-1, 1):
        for i, wide in enumerate((26, 34, 18, 30)):
            left = 80 + side * 37 - (wide if side < 0 else 0)
            colour = ("#1a1423", "#3d2b7a", "#fff4e0", "#1a1423")[(i + (side > 0)) % 4]
            p.bar(left, 17 + i * 10, wide, 5, colour, round_by=2.5)
    return p


def open_air_cinema() -> Poster:
    p = Poster("#101b3f")
    for i in range(30):
        p.bar(0, i * 2.4, 160, 2.5, f"#{16 + i * 3:02x}{27 + i:02x}{63 + i * 2:02x}")
    stars = random.Random(7)  # noqa: S311  (stars, not secrets)
    for _ in range(70):
        p.disc(stars.uniform(0, 160), stars.uniform(0, 50), stars.uniform(0.15, 0.5), "#f7f3d7")
    p.disc(138, 17, 9, "#ffe9a8")
    p.disc(134, 14.5, 8, "#151e43")
    p.shape("#0a1128", (0, 66), (30, 54), (62, 66), (100, 52), (160, 68), (160, 90), (0, 90))
    p.bar(40, 56, 2.4, 24, "#05080f")
    p.bar(117.6, 56, 2.4, 24, "#05080f")
    p.bar(32, 14, 96, 48, "#05080f", round_by=1)
    p.bar(34, 16, 92, 44, "#ffb997")
    p.slice(80, 60, 24, 180, 360, "#fff1d0")
    p.shape("#f67e7d", (34, 60), (34, 54), (52, 44), (72, 60))
    p.shape("#843b62", (62, 60), (98, 38), (126, 54), (126, 60))
    for i in range(17):
        x, sag = i * 10, math.sin(i * math.pi / 4) ** 2 * 4
        p.disc(x, 5 + sag, 1.15, "#ffd166")
    p.line("#05080f", 0.3, *[(x, 4 + math.sin(x * math.pi / 40) ** 2 * 4) for x in range(0, 161, 2)])
    for i, x in enumerate(range(4, 164, 13)):
        p.disc(x, 80 + i % 3, 4.4, "#05080f")
        p.disc(x, 93 + i % 3, 8, "#05080f")
    return p


def flea_market() -> Poster:
    p = Poster("#f4efe4")
    inks = ("#e63946", "#1d7874", "#f4a259", "#23395b", "#8cb369")
    dice = random.Random(19)  # noqa: S311  (tiles, not secrets)
    for row in range(3):
        for column in range(8):
            x, y, ink = column * 20, 30 + row * 20, inks[(column * 2 + row * 3) % 5]
            ground = inks[(column * 2 + row * 3 + 2) % 5] if dice.random() < 0.45 else "#f4efe4"
            p.bar(x, y, 20, 20, ground)
            kind = (column + row * 2) % 5
            if kind == 0:
                p.slice(x, y + 20, 20, 270, 360, ink)
            elif kind == 1:
                p.disc(x + 10, y + 10, 7.6, ink)
                p.disc(x + 10, y + 10, 2.6, ground)
            elif kind == 2:
                p.slice(x + 10, y, 10, 0, 180, ink)
                p.slice(x + 10, y + 10, 10, 0, 180, ink)
            elif kind == 3:
                p.shape(ink, (x + 10, y + 1.5), (x + 18.5, y + 18.5), (x + 1.5, y + 18.5))
            else:
                for stripe in range(3):
                    p.bar(x + 2 + stripe * 6, y + 2, 3.6, 16, ink)
    for i in range(10):
        colour = "#e63946" if i % 2 == 0 else "#fffaf0"
        p.bar(i * 16, 0, 16, 20, colour)
        p.slice(i * 16 + 8, 20, 8, 0, 180, colour)
    p.bar(0, 0, 160, 4, "#23395b")
    return p


def dance_class() -> Poster:
    p = Poster("#5f0f78")
    ribbons = ("#ff9e00", "#ff4d6d", "#00c2b2", "#ffd9a0")
    for i, colour in enumerate(ribbons):
        p.arc(36, 98, 84 - i * 9, 200, 350, colour, 6)
        p.arc(146, -10, 76 - i * 9, 40, 185, colour, 6)
    p.disc(80, 45, 30, "#5f0f78")
    for x, lean, colour in ((70, -1, "#ffd9a0"), (92, 1, "#00c2b2")):
        p.disc(x, 24, 5, colour)
        p.line(colour, 5, (x, 32), (x + lean * 3, 46), (x + lean * 2, 50))
        p.line(colour, 3.2, (x + lean * 1, 34), (x - lean * 7, 40), (81, 33))
        p.line(colour, 3.2, (x, 34), (x + lean * 11, 28), (x + lean * 15, 18))
        p.line(colour, 3.8, (x + lean * 2, 49), (x + lean * 12, 58), (x + lean * 14, 70))
        p.line(colour, 3.8, (x + lean * 2, 49), (x - lean * 4, 60), (x - lean * 1, 71))
    p.disc(81, 74, 22, "#3c0950", squeeze=0.12)
    return p


def lecture() -> Poster:
    p = Poster("#0d1f2d")
    for radius in (22, 33, 45, 58, 73):
        p.ring(80, 50, radius, "#3f6b85", 0.45)
    p.disc(80, 50, 12, "#ffb703")
    for radius, angle, size, colour in (
        (22, 200, 3, "#e07a5f"),
        (33, 320, 4.2, "#81b29a"),
        (45, 160, 5, "#3d9be9"),
        (58, 340, 7.5, "#f2cc8f"),
        (73, 205, 6, "#b392f0"),
    ):
        x, y = 80 + math.cos(math.radians(angle)) * radius, 50 + math.sin(math.radians(angle)) * radius
        p.disc(x, y, size, colour)
    p.ring(80 + math.cos(math.radians(340)) * 58, 50 + math.sin(math.radians(340)) * 58, 10.5, "#f2cc8f", 0.7)
    p.shape("#f7f4ea", (80, 76), (124, 66), (124, 88), (80, 96))
    p.shape("#e3dcc8", (80, 76), (36, 66), (36, 88), (80, 96))
    for i in range(3):
        p.line("#8b98a5", 0.7, (86, 78.6 + i * 4), (118, 71.6 + i * 4))
        p.line("#8b98a5", 0.7, (74, 78.6 + i * 4), (42, 71.6 + i * 4))
    return p


def new_year_ball() -> Poster:
    p = Poster("#12081f")
    for i in range(28):
        if i % 2:
            p.slice(80, 42, 120, i * 360 / 28, (i + 1) * 360 / 28, "#1f1035")
    dice = random.Random(31)  # noqa: S311  (confetti, not secrets)
    for _ in range(120):
        x, y, size = dice.uniform(0, 160), dice.uniform(0, 90), dice.uniform(0.6, 1.6)
        colour = dice.choice(("#ffcf56", "#ff477e", "#4cc9f0", "#f7f7ff", "#b388eb"))
        angle = dice.uniform(0, math.tau)
        right, down = math.cos(angle) * size, math.sin(angle) * size
        far = (x + right - 2 * down, y + down + 2 * right)
        p.shape(colour, (x, y), (x + right, y + down), far, (x - 2 * down, y + 2 * right))
    p.line("#cfd2ff", 0.6, (80, 0), (80, 14))
    p.disc(80, 42, 29, "#241a4d")
    shades = ("#f7f7ff", "#b9b4f5", "#7f78d2", "#ffcf56", "#5149a0", "#d5d1ff")
    for row in range(-6, 7):
        low, high = row * 4.4 - 1.9, row * 4.4 + 1.9
        edge = max(abs(low), abs(high))
        if edge >= 28.4:
            continue
        reach = math.sqrt(28.4**2 - edge**2)
        count = max(2, round(reach / 2.3))
        for column in range(count):
            start, end = -math.cos(math.pi * column / count), -math.cos(math.pi * (column + 0.86) / count)
            p.bar(80 + start * reach, 42 + low, (end - start) * reach, 3.8, dice.choice(shades))
    p.bar(77.5, 11, 5, 4, "#cfd2ff", round_by=1)
    return p


POSTERS: tuple[Callable[[], Poster], ...] = (
    jazz_night, film_club, theatre, ceramics, puppets, choir,
    poetry_slam, open_air_cinema, flea_market, dance_class, lecture, new_year_ball,
)  # fmt: skip


def draw_all(folder: Path, posters: Sequence[Callable[[], Poster]] = POSTERS) -> None:
    """Writes every poster to `folder`; raises ValueError when one is too heavy for a listing."""
    for poster in posters:
        path = folder / f"{poster.__name__.replace('_', '-')}.webp"
        size = poster().save(path)
        if size > MOST_BYTES:
            raise ValueError(f"{path.name} has {size} bytes; at most {MOST_BYTES} are wanted.")


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
