"""The strokes that every screen is drawn with. Units are pixels of a phone 720 wide; the file is smaller."""

import math

from PIL import Image, ImageDraw

from samples.maker.fonts import font

Color = tuple[int, int, int]
Box = tuple[float, float, float, float]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)

_HANGING = ",。;:!?、,】"  # never starts a line


def blend(one: Color, other: Color, share: float) -> Color:
    """`share` of the other colour in the first: 0 gives the first, 1 the other."""
    first, second, third = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return first, second, third


def ramp(size: tuple[int, int], first: Color, last: Color, *, across: bool = False) -> Image.Image:
    """A linear gradient, top to bottom, or left to right if `across`."""
    strip = Image.new("RGB", (2, 1) if across else (1, 2), first)
    strip.putpixel((1, 0) if across else (0, 1), last)
    box = (0.5, 0, 1.5, 1) if across else (0, 0.5, 1, 1.5)
    return strip.resize(size, Image.Resampling.BILINEAR, box=box)


def rounded_mask(size: tuple[int, int], radius: float) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, fill=255)
    return mask


class Canvas:
    """A picture with a pen. Text is kept inside what it is given: cut with an ellipsis, or wrapped."""

    def __init__(self, width: int, height: int, fill: Color, family: str = "noto") -> None:
        self.w, self.h, self.family = width, height, family
        self.image = Image.new("RGB", (width, height), fill)
        self.pen = ImageDraw.Draw(self.image)

    def box(
        self, box: Box, fill: Color | None, radius: float = 0, outline: Color | None = None, width: int = 2
    ) -> None:
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            return
        self.pen.rounded_rectangle((x0, y0, x1, y1), radius, fill=fill, outline=outline, width=width)

    def disc(
        self, x: float, y: float, r: float, fill: Color | None, outline: Color | None = None, width: int = 3
    ) -> None:
        self.pen.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline, width=width)

    def line(self, points: list[tuple[float, float]], fill: Color, width: int = 2) -> None:
        self.pen.line(points, fill=fill, width=width, joint="curve")

    def polygon(self, points: list[tuple[float, float]], fill: Color) -> None:
        self.pen.polygon(points, fill=fill)

    def star(self, x: float, y: float, r: float, fill: Color) -> None:
        turns = ((math.pi * (i / 5 - 0.5), r if i % 2 == 0 else r * 0.45) for i in range(10))
        self.polygon([(x + math.cos(a) * q, y + math.sin(a) * q) for a, q in turns], fill)

    def gradient(self, box: Box, first: Color, last: Color, radius: float = 0, *, across: bool = False) -> None:
        x0, y0, x1, y1 = (round(v) for v in box)
        if x1 > x0 and y1 > y0:
            size = (x1 - x0, y1 - y0)
            self.image.paste(ramp(size, first, last, across=across), (x0, y0), rounded_mask(size, radius))

    def shade(self, box: Box, strength: float, color: Color = BLACK) -> None:
        """Lays a veil over part of the picture, as an app dims the page behind a pop-up."""
        x0, y0, x1, y1 = (round(v) for v in box)
        part = self.image.crop((x0, y0, x1, y1))
        self.image.paste(Image.blend(part, Image.new("RGB", part.size, color), strength), (x0, y0))

    def paste(self, tile: Image.Image, x: float, y: float, radius: float = 0) -> None:
        self.image.paste(tile, (round(x), round(y)), rounded_mask(tile.size, radius) if radius else None)

    def measure(self, words: str, size: float, bold: bool = False) -> float:
        return font(self.family, round(size), bold).getlength(words)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        fill: Color,
        *,
        bold: bool = False,
        anchor: str = "lm",
        width: float | None = None,
    ) -> float:
        """One line, by default left-aligned with its middle at `y`; returns the width it took."""
        if width is not None:
            words = self._cut(words, size, bold, width)
        self.pen.text((x, y), words, font=font(self.family, round(size), bold), fill=fill, anchor=anchor)
        return self.measure(words, size, bold)

    def _cut(self, words: str, size: float, bold: bool, width: float) -> str:
        if self.measure(words, size, bold) <= width:
            return words
        while words and self.measure(words + "…", size, bold) > width:
            words = words[:-1]
        return words + "…"

    def paragraph(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        fill: Color,
        width: float,
        *,
        bold: bool = False,
        lines: int = 9,
    ) -> float:
        """Wrapped text from its top edge `y`; returns the `y` below it."""
        done = 0
        while words and done < lines:
            count = len(words)
            while count > 1 and self.measure(words[:count], size, bold) > width:
                count -= 1
            while count < len(words) and words[count] in _HANGING:
                count += 1
            line = words[:count] if done < lines - 1 else words
            self.text(x, y + size * 0.72, line, size, fill, bold=bold, width=width + 2 * size)
            words, y, done = words[count:], y + size * 1.45, done + 1
        return y
