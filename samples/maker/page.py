"""One phone screen being drawn: the canvas, its theme, its split's words, and how far down it is filled."""

import random
from collections.abc import Sequence

from PIL import Image

from samples.maker.draw import BLACK, Canvas, Color
from samples.maker.goods import Goods, World, pick_goods, world
from samples.maker.shapes import sketch
from samples.maker.theme import Theme, draw_theme

WIDTH = 720
_MASKED_SHARE = 0.6


class Page(Canvas):
    """`y` is the next free line. What identifies somebody may be scribbled out, as users do."""

    def __init__(self, rng: random.Random, split: str, theme: Theme | None = None) -> None:
        self.rng, self.split = rng, split
        self.theme = theme or draw_theme(rng)
        super().__init__(WIDTH, rng.randint(1440, 1600), self.theme.page, self.theme.family)
        self.y = 0.0
        self.masks = rng.random() < _MASKED_SHARE

    @property
    def world(self) -> World:
        return world(self.split)

    @property
    def left(self) -> float:
        return self.theme.margin

    @property
    def right(self) -> float:
        return self.w - self.theme.margin

    def word(self, train: Sequence[str], test: Sequence[str]) -> str:
        """A wording of this split: the test set never repeats what training pictures say."""
        return self.rng.choice(train if self.split == "train" else test)

    def words(self, train: Sequence[str], test: Sequence[str], count: int) -> list[str]:
        pool = train if self.split == "train" else test
        return self.rng.sample(list(pool), min(count, len(pool)))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def size(self, base: float) -> float:
        """A letter size under this theme's scale."""
        return base * self.theme.scale

    def goods(self) -> Goods:
        return pick_goods(self.rng, self.split)

    def tile(self, goods: Goods, side: float) -> Image.Image:
        return sketch(self.rng, goods.shape, round(side))

    def money(self, low: int = 5, high: int = 900) -> str:
        return f"{self.rng.randint(low, high)}.{self.rng.choice(('00', '50', '80', '90', '99', '16'))}"

    def date(self) -> str:
        r = self.rng
        return f"2025-{r.randint(1, 12):02}-{r.randint(1, 28):02} {r.randint(0, 23):02}:{r.randint(0, 59):02}"

    def dates(self, count: int) -> list[str]:
        """Moments from the latest to the earliest, as histories list them."""
        return sorted((self.date() for _ in range(count)), reverse=True)

    def any_color(self, low: int, high: int) -> Color:
        """A colour that no theme chose, each channel between the two."""
        return self.rng.randint(low, high), self.rng.randint(low, high), self.rng.randint(low, high)

    def digits(self, count: int) -> str:
        return "".join(self.rng.choice("0123456789") for _ in range(count))

    def private(self, x: float, y: float, words: str, size: float, fill: Color, *, anchor: str = "lm") -> None:
        """Text that identifies somebody: on a masked page it is struck out with a thick rough stroke."""
        took = self.text(x, y, words, size, fill, anchor=anchor)
        if self.masks:
            start = {"l": x, "m": x - took / 2, "r": x - took}[anchor[0]]
            self.scribble(start, y, took, size)

    def scribble(self, x: float, y: float, width: float, size: float) -> None:
        steps = max(2, round(width / 24))
        jitter = [y + self.rng.uniform(-0.18, 0.18) * size for _ in range(steps + 1)]
        points = [(x + width * i / steps, v) for i, v in enumerate(jitter)]
        self.line(points, BLACK, round(size * 0.85))
