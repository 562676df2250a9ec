"""实物拍摄: what a phone camera would give: a textured ground, a thing or a parcel, blur, noise, bad light."""

import random
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageChops, ImageFilter

from samples.maker.draw import Color, blend
from samples.maker.goods import pick_goods
from samples.maker.shapes import SHAPES, Sketch

_BODIES: tuple[Color, ...] = (
    (196, 72, 60), (208, 140, 70), (90, 140, 96), (70, 110, 160), (60, 64, 74), (210, 204, 196), (150, 110,
     84),
    (170, 120, 150), (120, 150, 170),
)  # fmt: skip


def _noise(gen: Generator, size: tuple[int, int], grain: tuple[int, int], strength: float) -> np.ndarray:
    """Smooth random light and dark: coarse noise enlarged to `size`."""
    coarse = gen.normal(0, strength, (grain[1], grain[0])).astype("float32")
    return np.array(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def _tinted(color: Color, relief: np.ndarray) -> Image.Image:
    pixels = np.asarray(color, "float32") + relief[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))


def wood(gen: Generator, size: tuple[int, int]) -> Image.Image:
    color = ((176, 128, 84), (120, 84, 58), (206, 170, 124))[gen.integers(3)]
    relief = _noise(gen, size, (3, 60), 16) + _noise(gen, size, (8, 200), 8)
    relief[:: max(60, size[1] // 4)] -= 50
    return _tinted(color, relief)


def tiles(gen: Generator, size: tuple[int, int]) -> Image.Image:
    relief = _noise(gen, size, (12, 12), 6)
    step = int(gen.integers(150, 260))
    for offset in range(4):
        relief[offset::step] -= 40
        relief[:, offset::step] -= 40
    return _tinted(((214, 208, 198), (190, 194, 198))[gen.integers(2)], relief)


def cardboard(gen: Generator, size: tuple[int, int]) -> Image.Image:
    return _tinted((186, 146, 102), _noise(gen, size, (90, 4), 9) + _noise(gen, size, (6, 6), 10))


def cloth(gen: Generator, size: tuple[int, int]) -> Image.Image:
    color = ((150, 160, 176), (216, 206, 196), (96, 100, 110), (188, 150, 150))[gen.integers(4)]
    return _tinted(color, _noise(gen, size, (5, 7), 22) + _noise(gen, size, (160, 160), 6))


def stone(gen: Generator, size: tuple[int, int]) -> Image.Image:
    return _tinted((150, 148, 146), _noise(gen, size, (90, 90), 16) + _noise(gen, size, (7, 7), 12))


Ground = Callable[[Generator, tuple[int, int]], Image.Image]
_GROUNDS: dict[str, tuple[Ground, ...]] = {
    "train": (wood, tiles, cardboard, cloth),
    "test": (wood, stone, cloth, tiles),
}


def _thing(rng: random.Random, gen: Generator, shape: str, side: int) -> tuple[Image.Image, Image.Image]:
    """A drawn thing with uneven light on it, and its outline as a mask, turned by some angle."""
    body = rng.choice(_BODIES)
    key = (255, 0, 254)
    picture = Sketch(side, (key, key), body)
    SHAPES[shape](picture)
    solid = np.any(np.asarray(picture.image) != key, axis=2)
    light = _noise(gen, (side, side), (3, 3), 26) + np.linspace(26, -34, side)[None, :]
    lit = np.clip(np.asarray(picture.image, "float32") + light[..., None], 0, 255).astype("uint8")
    angle = rng.uniform(-28, 28)
    mask = Image.fromarray((solid * 255).astype("uint8")).rotate(angle, Image.Resampling.BILINEAR, expand=True)
    return Image.fromarray(lit).rotate(angle, Image.Resampling.BILINEAR, expand=True), mask


def _parcel(rng: random.Random, gen: Generator, side: int) -> tuple[Image.Image, Image.Image]:
    """A carton with tape and a label, seen from above."""
    high = round(side * rng.uniform(0.6, 0.9))
    box = cardboard(gen, (side, high))
    pen = Sketch(side, ((0, 0, 0), (0, 0, 0)), rng.choice(_BODIES))
    pen.image.paste(box, (0, 0))
    pen.r(0, 24, 100, 32, (214, 190, 140), 0)
    pen.r(52, 38, 92, 62, (240, 240, 236), 1)
    for i in range(9):
        pen.r(55 + i * 4, 41, 55 + i * 4 + rng.choice((1, 2)), 48, (30, 30, 30), 0)
    pen.r(55, 51, 86, 53, (90, 90, 90), 0)
    pen.r(55, 56, 78, 58, (90, 90, 90), 0)
    angle = rng.uniform(-30, 30)
    mask = Image.new("L", (side, high), 255).rotate(angle, Image.Resampling.BILINEAR, expand=True)
    return pen.image.crop((0, 0, side, high)).rotate(angle, Image.Resampling.BILINEAR, expand=True), mask


def _lay(scene: Image.Image, thing: tuple[Image.Image, Image.Image], x: int, y: int) -> None:
    """Puts a thing on the ground with a soft shadow beside it."""
    picture, mask = thing
    shadow = ImageChops.offset(mask.filter(ImageFilter.GaussianBlur(14)), 10, 14).point(lambda v: v * 0.5)
    scene.paste((30, 26, 24), (x, y), shadow)
    scene.paste(picture, (x, y), mask.filter(ImageFilter.GaussianBlur(1)))


def _scratches(rng: random.Random, canvas: Sketch, x: float, y: float) -> None:
    """Damage: a few cracks or stains around a point given in percent."""
    for _ in range(rng.randint(2, 6)):
        dark = rng.choice(((40, 34, 30), (230, 228, 220)))
        ends = [(x + rng.uniform(-6, 6), y + rng.uniform(-6, 6)) for _ in range(3)]
        canvas.line([(a * canvas.unit, b * canvas.unit) for a, b in ends], dark, rng.randint(1, 3))
    if rng.random() < 0.4:
        canvas.o(x - 6, y - 4, x + 5, y + 5, (96, 76, 54))


def _circle(rng: random.Random, canvas: Sketch, x: float, y: float) -> None:
    r = rng.uniform(10, 18)
    canvas.a(x - r, y - r * 0.8, x + r, y + r * 0.8, rng.randint(0, 90), rng.randint(380, 440), (232, 30, 30), 1.2)


def _camera(rng: random.Random, gen: Generator, scene: Image.Image) -> Image.Image:
    """Perspective, focus, vignette, colour cast and sensor noise."""
    w, h = scene.size
    lean = [rng.uniform(0, 0.08) for _ in range(8)]
    quad = (
        w * lean[0],
        h * lean[1],
        w * lean[2],
        h * (1 - lean[3]),
        w * (1 - lean[4]),
        h * (1 - lean[5]),
        w * (1 - lean[6]),
        h * lean[7],
    )
    scene = scene.transform((w, h), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
    scene = scene.filter(ImageFilter.GaussianBlur(rng.choice((0.8, 1.2, 1.8, 3.0))))
    down, across = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    light = (1 - rng.uniform(0.1, 0.35) * (down**2 + across**2) / 2) * rng.uniform(0.72, 1.12)
    light = light + rng.uniform(-0.18, 0.18) * across
    cast = np.asarray([rng.uniform(0.92, 1.06), 1, rng.uniform(0.86, 1.05)])
    pixels = np.asarray(scene, "float32") * light[..., None] * cast + gen.normal(0, rng.uniform(1, 4), (h, w, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))


def take(rng: random.Random, split: str, subject: str, *, shape: str | None = None) -> Image.Image:
    """One photo of `subject`: "thing", "parcel", "flaw" (thing, cracked, perhaps circled) or "unpacked"."""
    gen = np.random.default_rng(rng.getrandbits(32))
    size = rng.choice(((900, 1200), (1200, 900), (960, 960), (720, 1280), (900, 1200)))
    scene = rng.choice(_GROUNDS[split])(gen, size)
    shape = shape or pick_goods(rng, split).shape
    side = round(min(size) * (rng.uniform(0.95, 1.25) if subject == "flaw" else rng.uniform(0.6, 0.85)))
    things = [_parcel(rng, gen, side)] if subject in {"parcel", "unpacked"} else []
    if subject != "parcel":
        things.append(_thing(rng, gen, shape, side if subject != "unpacked" else round(side * 0.75)))
    for thing in things:
        x = round((size[0] - thing[0].width) / 2 + rng.uniform(-0.12, 0.12) * size[0])
        y = round((size[1] - thing[0].height) / 2 + rng.uniform(-0.12, 0.12) * size[1])
        _lay(scene, thing, x, y)
    if subject == "flaw" or rng.random() < 0.25:
        _mark(rng, scene)
    return _camera(rng, gen, scene)


def _mark(rng: random.Random, scene: Image.Image) -> None:
    canvas = Sketch(max(scene.size), ((0, 0, 0), (0, 0, 0)), blend(_BODIES[0], _BODIES[1], 0.5))
    canvas.image.paste(scene, (0, 0))
    x = rng.uniform(35, 65) * scene.width / max(scene.size)
    y = rng.uniform(35, 65) * scene.height / max(scene.size)
    _scratches(rng, canvas, x, y)
    if rng.random() < 0.5:
        _circle(rng, canvas, x, y)
    scene.paste(canvas.image.crop((0, 0, *scene.size)), (0, 0))
