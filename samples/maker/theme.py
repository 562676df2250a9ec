"""How one phone looks: colours, corners, letter size. Drawn per picture, so that no label owns a colour."""

import random
from dataclasses import dataclass

from samples.maker.draw import WHITE, Color, blend
from samples.maker.fonts import FAMILIES

_ACCENTS: tuple[Color, ...] = (
    (255, 98, 0), (255, 80, 0), (255, 68, 30), (250, 110, 20), (238, 52, 40), (245, 40, 70), (255, 122, 40),
)  # fmt: skip
_RARE_ACCENTS: tuple[Color, ...] = ((226, 40, 110), (30, 120, 240), (20, 160, 120), (122, 80, 220))
_DARK_SHARE = 0.05
_RARE_SHARE = 0.12


@dataclass(frozen=True)
class Theme:
    """`warm` is the lighter partner of `accent`: together they make the gradient of buttons and headers."""

    accent: Color
    warm: Color
    page: Color
    card: Color
    ink: Color
    faint: Color
    rule: Color
    radius: int
    margin: int
    scale: float
    family: str
    dark: bool

    def tint(self, share: float = 0.9) -> Color:
        """The accent washed out towards the card: chips and banners."""
        return blend(self.accent, self.card, share)


def draw_theme(rng: random.Random) -> Theme:
    accent = rng.choice(_RARE_ACCENTS if rng.random() < _RARE_SHARE else _ACCENTS)
    dark = rng.random() < _DARK_SHARE
    grey = rng.randint(238, 249)
    return Theme(
        accent=accent,
        warm=blend(accent, (255, 190, 60), rng.uniform(0.25, 0.6)),
        page=(16, 16, 18) if dark else (grey, grey, min(255, grey + rng.randint(0, 4))),
        card=(34, 34, 38) if dark else WHITE,
        ink=(232, 232, 236) if dark else (rng.randint(16, 50),) * 3,
        faint=(140, 140, 148) if dark else (rng.randint(130, 160),) * 3,
        rule=(60, 60, 66) if dark else (228, 228, 230),
        radius=rng.choice((0, 12, 18, 24, 30)),
        margin=rng.choice((12, 18, 24)),
        scale=rng.uniform(0.94, 1.1),
        family=FAMILIES[rng.random() < 0.25],
        dark=dark,
    )
