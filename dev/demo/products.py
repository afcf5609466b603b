"""Draws the pictures of the demo's products, in the manner of the events' posters.

`python -m dev.demo.products dev/demo/pictures` writes them.
"""

import math
import sys
from pathlib import Path

from dev.demo.posters import Poster, draw_all


def mug() -> Poster:
    p = Poster("#f3e3cf")
    p.bar(0, 66, 160, 24, "#d8b48a")
    p.disc(80, 71, 36, "#b98f63", squeeze=0.16)
    p.ring(106, 44, 16, "#2f5d9e", 6)
    p.bar(54, 22, 50, 48, "#2f5d9e", round_by=7)
    p.bar(54, 20, 50, 14, "#2f5d9e")
    p.disc(79, 21, 25, "#4a7cc4", squeeze=0.24)
    p.disc(79, 22, 22, "#fffaf0", squeeze=0.2)
    p.disc(79, 24, 18, "#5b3420", squeeze=0.14)
    for i in range(5):
        p.line("#1f4173", 1, *[(56 + x, 40 + i * 5 + math.sin(x / 5 + i) * 1.1) for x in range(0, 47, 2)])
    for x in (70, 80, 90):
        p.line("#e7d0b3", 1.6, *[(x + math.sin(y / 2.4) * 2, y) for y in range(4, 15)])
    return p


def poster() -> Poster:
    p = Poster("#20323f")
    p.bar(50, 4, 60, 82, "#0f1b23")
    p.bar(48, 3, 60, 82, "#fbf3e4")
    p.bar(52, 7, 52, 60, "#e4572e")
    p.disc(78, 37, 21, "#fbf3e4")
    p.slice(78, 37, 21, 200, 340, "#20323f")
    for i in range(9):
        angle = math.radians(200 + i * 17.5)
        p.line("#fbf3e4", 0.8, (78, 37), (78 + math.cos(angle) * 21, 37 + math.sin(angle) * 21))
    for row in range(4):
        for column in range(10):
            p.bar(53 + column * 5.1, 71 + row * 2.6, 3.6 - (column + row) % 3 * 0.7, 1.2, "#20323f")
    p.line("#e4572e", 0.7, *[(90 + x, 82.4 + math.sin(x * 1.4) * 0.9) for x in range(13)])
    for x in (50, 106):
        p.disc(x, 5, 1.1, "#c9ced1")
    return p


def cookbook() -> Poster:
    p = Poster("#ffd9a0")
    for i in range(12):
        p.line("#ffcb7f", 2, (i * 16 - 30, 90), (i * 16 + 30, 0))
    p.bar(49, 12, 66, 72, "#b9822f", round_by=2)
    p.bar(51, 9, 66, 72, "#fff8ea", round_by=2)
    p.bar(46, 9, 66, 72, "#2b6e57", round_by=2)
    p.bar(46, 9, 7, 72, "#1d4d3c", round_by=2)
    p.slice(82, 46, 22, 0, 180, "#fff8ea")
    p.disc(82, 46, 22, "#fff8ea", squeeze=0.3)
    p.disc(82, 46, 19, "#e8743b", squeeze=0.22)
    for x, y, colour in ((72, 45, "#2b6e57"), (80, 47.4, "#ffd9a0"), (90, 45, "#2b6e57"), (85, 44, "#ffd9a0")):
        p.disc(x, y, 1.8, colour, squeeze=0.6)
    p.line("#c9a25f", 2.4, (92, 45), (107, 21))
    for x in (74, 82, 90):
        p.line("#8fc1ac", 1.1, *[(x + math.sin(y / 2) * 1.8, y) for y in range(22, 36)])
    p.bar(66, 73, 32, 2.2, "#ffd9a0", round_by=1)
    return p


def record() -> Poster:
    p = Poster("#3c1642")
    p.disc(98, 46, 37, "#0b0710")
    for radius in (34, 31, 28, 25, 22, 19, 16):
        p.ring(98, 46, radius, "#2a2033", 0.4)
    p.slice(98, 46, 35, 300, 318, "#1d1526")
    p.slice(98, 46, 35, 120, 138, "#1d1526")
    p.disc(98, 46, 12, "#f2a900")
    p.disc(98, 46, 1.6, "#0b0710")
    p.bar(22, 9, 74, 74, "#12040f")
    p.bar(20, 8, 74, 74, "#f4e4c8")
    for i in range(5):
        p.arc(57, 82, 34 - i * 6, 180, 360, ("#a23b3b", "#c9653b")[i % 2], 5)
    p.bar(24, 12, 40, 3.6, "#3c1642")
    p.bar(24, 18, 26, 2.2, "#a23b3b")
    p.disc(84, 19, 5, "#f2a900")
    return p


def candle() -> Poster:
    p = Poster("#1b1420")
    for radius, colour in ((44, "#2a1c22"), (34, "#3b2522"), (24, "#573423"), (15, "#80502a")):
        p.disc(80, 27, radius, colour)
    p.bar(0, 76, 160, 14, "#0e0a11")
    p.disc(80, 78, 34, "#3a2a1e", squeeze=0.16)
    p.bar(64, 40, 32, 38, "#f2e3c6", round_by=2)
    p.disc(80, 40, 16, "#fff3d6", squeeze=0.2)
    for x, long in ((65, 20), (70, 9), (92, 14), (87, 6)):
        p.bar(x, 40, 4, long, "#fff3d6", round_by=2)
    p.line("#3a2a1e", 0.9, (80, 41), (80.6, 33))
    p.shape("#ffb703", (80.4, 12), (86, 27), (84, 34), (80.4, 36), (76.8, 34), (75, 27))
    p.disc(80.4, 30, 5.4, "#ffb703")
    p.shape("#fff3b0", (80.4, 20), (83, 29), (80.4, 34), (77.8, 29))
    p.disc(80.4, 31, 2.6, "#fff3b0")
    for i in range(10):
        p.line("#c9ad7f", 0.5, (67 + i * 2.8, 70), (67 + i * 2.8, 75 - i % 2))
    return p


POSTERS = (mug, poster, cookbook, record, candle)


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]), POSTERS)
