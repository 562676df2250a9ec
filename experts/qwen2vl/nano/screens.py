"""Synthetic screens of plain shapes, and the words that describe them: ``nano``'s pre-training on pictures.

No letters and no fonts: bars, cards, dots and buttons at random positions and in random colours. Each drawing has one
word per property (ground, top colour, number of cards ...), and ``nano`` learns to predict the words.
"""

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

SIZE = (140, 308)
"""Width and height in pixels: a phone's aspect, small enough to be drawn in a millisecond."""
Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "白": (250, 250, 250), "红": (225, 40, 50), "橙": (250, 120, 30), "黄": (245, 205, 70),
    "绿": (40, 170, 90), "蓝": (40, 110, 240), "紫": (130, 60, 200), "黑": (25, 25, 30),
}  # fmt: skip
GROUNDS: dict[str, Colour] = {"浅": (244, 244, 246), "深": (34, 34, 38), "彩": (240, 90, 70), "木": (150, 120, 90)}
COUNTS = "零一二三四五"
POPUPS = ("无", "无", "无", "无", "中", "底")
LEFTS = ("无", "圆", "方")
BOTTOMS = ("无", "一", "二", "标")
YES_NO = ("无", "有")


@dataclass(frozen=True)
class Drawing:
    """A synthetic screen and its words, one per property, in a fixed order."""

    picture: Image.Image
    words: tuple[str, ...]


def draw_screen(rng: random.Random) -> Drawing:
    """One random screen."""
    ground, top = rng.choice([*GROUNDS]), rng.choice([*COLOURS])
    n_cards, left, bottom = rng.randrange(6), rng.choice(LEFTS), rng.choice(BOTTOMS)
    popup, line, grid = rng.choice(POPUPS), rng.choice(YES_NO), rng.choice(YES_NO)
    picture = _ground(rng, ground)
    pen = ImageDraw.Draw(picture)
    ink = (225, 225, 225) if ground == "深" else (90, 90, 95)
    y = _bar(pen, rng, COLOURS[top])
    for _ in range(n_cards):
        y = _card(pen, rng, y, left, ground)
    if line == "有":
        y = _timeline(pen, rng, y, ink)
    if grid == "有":
        _grid(pen, rng, y)
    _buttons(pen, rng, bottom)
    if popup != "无":
        picture = _popup(picture, rng, popup)
    words = (ground, top, COUNTS[n_cards], left, line, grid, bottom, popup)
    return Drawing(_crop(picture, rng), words)


def _ground(rng: random.Random, kind: str) -> Image.Image:
    colour = _near(rng, GROUNDS[kind], 14)
    picture = Image.new("RGB", SIZE, colour)
    if kind == "木":
        noise = _noise(rng, (SIZE[0] // 4, SIZE[1] // 4), rng.uniform(30, 80)).resize(SIZE)
        picture = Image.blend(picture, noise.convert("RGB"), 0.4)
    return picture


def _noise(rng: random.Random, size: tuple[int, int], spread: float) -> Image.Image:
    """Grey pixels around 128 with standard deviation ``spread``.

    Not ``Image.effect_noise``: that draws from the C library, whose state is the whole process's.
    """
    return Image.frombytes(
        "L", size, bytes(max(0, min(255, round(rng.gauss(128, spread)))) for _ in range(math.prod(size)))
    )


def _bar(pen: ImageDraw.ImageDraw, rng: random.Random, colour: Colour) -> float:
    height = rng.uniform(0.07, 0.2) * SIZE[1]
    pen.rectangle((0, 0, SIZE[0], height), _near(rng, colour, 18))
    ink = (40, 40, 40) if sum(colour) > 600 else (250, 250, 250)
    pen.rectangle((rng.uniform(8, 50), height - 14, rng.uniform(60, 110), height - 9), ink)
    return height + rng.uniform(2, 8)


def _card(pen: ImageDraw.ImageDraw, rng: random.Random, y: float, left: str, ground: str) -> float:
    height = rng.uniform(26, 38)
    fill = (54, 54, 58) if ground == "深" else (255, 255, 255)
    pen.rounded_rectangle((5, y, SIZE[0] - 5, y + height), 4, fill)
    x, mid = 12.0, y + height / 2
    tint = _near(rng, rng.choice([*COLOURS.values()]), 30)
    if left == "圆":
        pen.ellipse((9, mid - 5, 19, mid + 5), tint)
        x = 26
    if left == "方":
        pen.rectangle((9, y + 5, 9 + height - 10, y + height - 5), tint)
        x = height + 6
    for row in range(rng.randint(1, 3)):
        end = rng.uniform(x + 20, SIZE[0] - 12)
        pen.rectangle((x, y + 6 + 8 * row, end, y + 9 + 8 * row), (150, 150, 150))
    if rng.random() < 0.5:
        pen.rectangle((SIZE[0] - 34, y + height - 10, SIZE[0] - 12, y + height - 5), (235, 90, 40))
    return y + height + rng.uniform(2, 8)


def _timeline(pen: ImageDraw.ImageDraw, rng: random.Random, y: float, ink: Colour) -> float:
    x, n_stops = rng.uniform(12, 26), rng.randint(2, 4)
    pen.line((x, y + 6, x, y + 6 + 20 * (n_stops - 1)), ink, 1)
    for stop in range(n_stops):
        at = y + 6 + 20 * stop
        pen.ellipse((x - 3, at - 3, x + 3, at + 3), (245, 110, 40) if stop == 0 else ink)
        pen.rectangle((x + 10, at - 2, rng.uniform(x + 40, SIZE[0] - 10), at + 1), ink)
    return y + 20 * n_stops + 4


def _grid(pen: ImageDraw.ImageDraw, rng: random.Random, y: float) -> None:
    side = (SIZE[0] - 20) / 2
    for row in range(2):
        for column in range(2):
            x, top = 7 + column * (side + 6), y + row * (side + 10)
            tint = _near(rng, rng.choice([*COLOURS.values()]), 40)
            pen.rectangle((x, top, x + side, top + side * 0.8), tint)
            pen.rectangle((x, top + side * 0.86, x + side * 0.7, top + side * 0.92), (120, 120, 120))


def _buttons(pen: ImageDraw.ImageDraw, rng: random.Random, kind: str) -> None:
    top, right = SIZE[1] - 24, SIZE[0]
    tint = _near(rng, rng.choice(([250, 120, 30], [230, 50, 60], [40, 110, 240])), 20)  # type: ignore[arg-type]
    if kind == "一":
        pen.rounded_rectangle((10, top, right - 10, top + 16), 8, tint)
    if kind == "二":
        pen.rounded_rectangle((right * 0.35, top, right * 0.65, top + 16), 8, (250, 190, 40))
        pen.rounded_rectangle((right * 0.67, top, right - 5, top + 16), 8, tint)
    if kind == "标":
        pen.rectangle((0, top - 3, right, SIZE[1]), (252, 252, 252))
        for index in range(5):
            pen.ellipse((10 + index * 27, top + 2, 20 + index * 27, top + 12), tint if index == 0 else (130, 130, 130))


def _popup(picture: Image.Image, rng: random.Random, kind: str) -> Image.Image:
    picture = Image.blend(picture, Image.new("RGB", SIZE, (0, 0, 0)), rng.uniform(0.45, 0.7))
    pen = ImageDraw.Draw(picture)
    top, bottom = (rng.uniform(80, 120), rng.uniform(190, 230)) if kind == "中" else (rng.uniform(110, 200), SIZE[1])
    margin = 14 if kind == "中" else 0
    pen.rounded_rectangle((margin, top, SIZE[0] - margin, bottom + 10), 8, (255, 255, 255))
    for row in range(rng.randint(1, 4)):
        pen.rectangle((margin + 12, top + 14 + 12 * row, rng.uniform(60, 110), top + 18 + 12 * row), (140, 140, 140))
    return picture


def _crop(picture: Image.Image, rng: random.Random) -> Image.Image:
    """In 40 % of the cases a part of the screen only, as shoppers send it."""
    if rng.random() < 0.6:
        return picture
    width, height = picture.size
    cut = [rng.uniform(0, 0.06) for _ in range(4)]
    return picture.crop(
        (round(cut[0] * width), round(cut[1] * height), round((1 - cut[2]) * width), round((1 - cut[3]) * height))
    )


def _near(rng: random.Random, colour: Colour, spread: int) -> Colour:
    red, green, blue = (max(0, min(255, part + rng.randint(-spread, spread))) for part in colour)
    return red, green, blue
