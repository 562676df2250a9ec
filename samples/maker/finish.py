"""What happens to a screen between being drawn and being uploaded: circled, cropped, made smaller."""

import math
import random

from PIL import Image, ImageDraw

from samples.maker.draw import BLACK, Color

_INKS: tuple[Color, ...] = ((235, 40, 40), (235, 90, 30), (120, 70, 230))
_CIRCLED, _BARRED, _CROPPED, _CUT_OUT = 0.12, 0.06, 0.18, 0.04


def circle(rng: random.Random, picture: Image.Image) -> None:
    """A wobbly ring around what the user means."""
    w, h = picture.size
    x, y = w * rng.uniform(0.3, 0.7), h * rng.uniform(0.25, 0.75)
    rx, ry = w * rng.uniform(0.16, 0.38), h * rng.uniform(0.03, 0.07)
    points = []
    for step in range(46):
        turn = step / 42 * 2 * math.pi
        swell = 1 + 0.06 * math.sin(3 * turn) + rng.uniform(-0.01, 0.01)
        points.append((x + rx * swell * math.cos(turn), y + ry * swell * math.sin(turn)))
    ImageDraw.Draw(picture).line(points, fill=rng.choice(_INKS), width=7, joint="curve")


def crop(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Some users cut off the top or the bottom, a few keep only a part."""
    w, h = picture.size
    draw = rng.random()
    if draw < _CUT_OUT:
        top = h * rng.uniform(0, 0.2)
        return picture.crop((0, round(top), w, round(top + h * rng.uniform(0.5, 0.7))))
    if draw < _CROPPED:
        return picture.crop((0, round(h * rng.uniform(0, 0.06)), w, round(h * rng.uniform(0.86, 1))))
    return picture


def upload(rng: random.Random, picture: Image.Image) -> Image.Image:
    """The screen as it arrives: about 450 pixels wide, its text still legible."""
    if rng.random() < _CIRCLED:
        circle(rng, picture)
    if rng.random() < _BARRED:
        ImageDraw.Draw(picture).rectangle((0, 0, picture.width, rng.randint(50, 90)), fill=BLACK)
    return shrink(crop(rng, picture), rng.randint(420, 456))


def shrink(picture: Image.Image, width: int) -> Image.Image:
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
