"""Simple drawings of goods, each in a unit square, so that a thumbnail and a main picture share them."""

import random
from collections.abc import Callable

from PIL import Image

from samples.maker.draw import BLACK, WHITE, Canvas, Color, blend


class Sketch(Canvas):
    """A square canvas whose strokes take percent of its side, with a body, a shadow and a bright colour."""

    def __init__(self, side: int, ground: tuple[Color, Color], body: Color) -> None:
        super().__init__(side, side, ground[0])
        self.gradient((0, 0, side, side), *ground)
        self.body, self.dark, self.light = body, blend(body, BLACK, 0.35), blend(body, WHITE, 0.6)
        self.unit = side / 100

    def r(self, x0: float, y0: float, x1: float, y1: float, fill: Color, radius: float = 3) -> None:
        u = self.unit
        self.box((x0 * u, y0 * u, x1 * u, y1 * u), fill, radius * u)

    def o(self, x0: float, y0: float, x1: float, y1: float, fill: Color) -> None:
        self.pen.ellipse([v * self.unit for v in (x0, y0, x1, y1)], fill=fill)

    def p(self, fill: Color, *points: tuple[float, float]) -> None:
        self.polygon([(x * self.unit, y * self.unit) for x, y in points], fill)

    def a(self, x0: float, y0: float, x1: float, y1: float, start: int, end: int, fill: Color, w: float) -> None:
        box = [v * self.unit for v in (x0, y0, x1, y1)]
        self.pen.arc(box, start, end, fill=fill, width=max(1, round(w * self.unit)))


def bottle(s: Sketch) -> None:
    s.r(42, 12, 58, 26, s.dark)
    s.r(34, 24, 66, 90, s.body, 10)
    s.r(34, 46, 66, 72, s.light, 0)
    s.r(38, 30, 42, 84, blend(s.body, WHITE, 0.4), 2)


def shoe(s: Sketch) -> None:
    s.p(s.body, (14, 68), (16, 38), (36, 36), (50, 50), (82, 58), (88, 70))
    s.r(12, 66, 90, 77, s.light, 5)
    for i in range(3):
        s.r(38 + i * 7, 44 + i * 4, 48 + i * 7, 47 + i * 4, WHITE, 1)
    s.r(14, 38, 36, 44, s.dark)


def lamp(s: Sketch) -> None:
    s.p(s.body, (36, 16), (64, 16), (78, 50), (22, 50))
    s.p(blend(s.light, (255, 240, 180), 0.6), (26, 50), (74, 50), (84, 62), (16, 62))
    s.r(47, 50, 53, 84, s.dark, 1)
    s.r(32, 82, 68, 90, s.dark, 4)


def phone(s: Sketch) -> None:
    s.r(30, 10, 70, 92, s.dark, 7)
    s.r(33, 15, 67, 87, s.body, 4)
    s.o(36, 18, 50, 32, s.light)
    s.o(39, 21, 47, 29, s.dark)
    s.r(40, 60, 60, 64, s.light, 2)


def bag(s: Sketch) -> None:
    s.a(32, 12, 68, 58, 180, 360, s.dark, 5)
    s.r(18, 36, 82, 86, s.body, 9)
    s.r(18, 36, 82, 56, s.dark, 8)
    s.r(45, 50, 55, 60, (235, 200, 110), 2)


def cup(s: Sketch) -> None:
    s.a(60, 36, 88, 70, 0, 360, s.dark, 5)
    s.p(s.body, (22, 26), (72, 26), (66, 84), (28, 84))
    s.o(22, 20, 72, 34, s.light)
    s.r(36, 46, 58, 60, s.light, 6)


def box(s: Sketch) -> None:
    s.p(s.body, (14, 36), (50, 48), (50, 90), (14, 76))
    s.p(s.dark, (86, 36), (50, 48), (50, 90), (86, 76))
    s.p(s.light, (14, 36), (50, 24), (86, 36), (50, 48))
    s.p(blend(s.light, (200, 170, 110), 0.5), (30, 30), (38, 28), (72, 40), (64, 43))


def shirt(s: Sketch) -> None:
    s.p(
        s.body,
        (32, 18),
        (68, 18),
        (92, 36),
        (82, 50),
        (72, 43),
        (72, 88),
        (28, 88),
        (28, 43),
        (18, 50),
        (8, 36),
    )
    s.o(40, 10, 60, 28, s.light)
    s.r(40, 48, 60, 62, s.light, 3)


def headphone(s: Sketch) -> None:
    s.a(20, 16, 80, 90, 180, 360, s.dark, 6)
    s.r(14, 48, 32, 82, s.body, 7)
    s.r(68, 48, 86, 82, s.body, 7)
    s.r(30, 52, 35, 78, s.light, 2)
    s.r(65, 52, 70, 78, s.light, 2)


def pan(s: Sketch) -> None:
    s.r(60, 44, 96, 53, s.dark, 4)
    s.o(8, 22, 70, 80, s.dark)
    s.o(13, 27, 65, 75, s.body)
    s.o(22, 34, 44, 52, s.light)


def sofa(s: Sketch) -> None:
    s.r(16, 28, 84, 66, s.body, 9)
    s.r(8, 44, 26, 78, s.dark, 7)
    s.r(74, 44, 92, 78, s.dark, 7)
    s.r(24, 56, 76, 76, s.light, 5)
    s.r(18, 78, 24, 88, s.dark, 1)
    s.r(76, 78, 82, 88, s.dark, 1)


def watch(s: Sketch) -> None:
    s.r(38, 6, 62, 94, s.dark, 6)
    s.r(26, 28, 74, 72, s.body, 13)
    s.r(31, 33, 69, 67, (24, 26, 34), 9)
    s.r(40, 44, 60, 49, s.light, 1)
    s.r(40, 53, 54, 57, s.body, 1)


def tube(s: Sketch) -> None:
    s.p(s.body, (34, 10), (66, 10), (61, 74), (39, 74))
    s.r(40, 74, 60, 90, s.dark, 3)
    s.r(42, 24, 58, 52, s.light, 2)


def washer(s: Sketch) -> None:
    s.r(20, 8, 80, 92, s.light, 5)
    s.r(20, 8, 80, 24, s.body, 5)
    s.o(30, 34, 70, 78, s.dark)
    s.o(36, 40, 64, 72, blend(s.body, (180, 220, 250), 0.7))
    s.o(66, 12, 74, 20, WHITE)


def plant(s: Sketch) -> None:
    leaf = blend(s.body, (50, 150, 70), 0.8)
    for x0, y0 in ((18, 22), (52, 18), (34, 8), (28, 36), (50, 36)):
        s.o(x0, y0, x0 + 30, y0 + 28, blend(leaf, WHITE, (x0 % 5) / 12))
    s.r(47, 50, 53, 66, blend(leaf, BLACK, 0.3), 1)
    s.p(s.body, (28, 62), (72, 62), (64, 92), (36, 92))


def pillow(s: Sketch) -> None:
    s.r(10, 46, 90, 82, s.dark, 14)
    s.r(12, 30, 88, 70, s.body, 16)
    s.r(24, 40, 76, 60, s.light, 9)


def umbrella(s: Sketch) -> None:
    s.pen.pieslice([v * s.unit for v in (10, 14, 90, 94)], 180, 360, fill=s.body)
    s.pen.pieslice([v * s.unit for v in (34, 14, 66, 94)], 180, 360, fill=s.light)
    s.r(48, 52, 52, 86, s.dark, 1)
    s.a(36, 76, 52, 94, 0, 180, s.dark, 4)


def jar(s: Sketch) -> None:
    s.r(26, 14, 74, 30, s.dark, 4)
    s.r(20, 28, 80, 88, s.body, 13)
    s.r(28, 44, 72, 74, s.light, 4)
    s.o(42, 50, 58, 68, s.body)


def speaker(s: Sketch) -> None:
    s.r(28, 8, 72, 92, s.dark, 9)
    s.o(36, 50, 64, 78, s.body)
    s.o(43, 57, 57, 71, s.light)
    s.o(40, 18, 60, 38, s.body)


def kettle(s: Sketch) -> None:
    s.a(56, 28, 92, 78, 270, 450, s.dark, 6)
    s.p(s.body, (28, 26), (68, 26), (76, 86), (20, 86))
    s.p(s.dark, (28, 34), (12, 28), (26, 50))
    s.r(36, 16, 60, 26, s.dark, 4)
    s.r(30, 62, 66, 70, s.light, 2)


def dress(s: Sketch) -> None:
    s.p(s.body, (36, 10), (64, 10), (62, 40), (86, 90), (14, 90), (38, 40))
    s.r(37, 38, 63, 44, s.dark, 1)
    for i in range(5):
        s.o(26 + i * 10, 62 + (i % 2) * 12, 31 + i * 10, 67 + (i % 2) * 12, s.light)


def screen(s: Sketch) -> None:
    s.r(8, 18, 92, 74, (30, 32, 40), 4)
    s.r(12, 22, 88, 68, s.body, 1)
    s.p(s.light, (12, 68), (40, 40), (58, 58), (70, 48), (88, 68))
    s.r(36, 80, 64, 85, s.dark, 2)


SHAPES: dict[str, Callable[[Sketch], None]] = {
    f.__name__: f
    for f in (
        bottle, shoe, lamp, phone, bag, cup, box, shirt, headphone, pan, sofa, watch, tube, washer, plant,
            pillow,
        umbrella, jar, speaker, kettle, dress, screen,
    )
}  # fmt: skip

_BODIES: tuple[Color, ...] = (
    (214, 70, 60), (236, 140, 60), (232, 190, 80), (96, 160, 90), (60, 150, 160), (70, 110, 190), (120, 90,
     180),
    (200, 100, 150), (90, 96, 110), (150, 110, 80), (210, 190, 160), (40, 44, 56), (235, 235, 238),
)  # fmt: skip


def sketch(rng: random.Random, shape: str, side: int) -> Image.Image:
    """One drawing on a soft ground, in colours of its own."""
    body = rng.choice(_BODIES)
    ground = blend(rng.choice(_BODIES), WHITE, rng.uniform(0.45, 0.92))
    picture = Sketch(side, (blend(ground, WHITE, 0.5), ground), body)
    picture.o(12, 82, 88, 96, blend(ground, BLACK, 0.12))
    SHAPES[shape](picture)
    return picture.image
