"""How far something has come: events under each other, or steps in a row."""

import math
from collections.abc import Sequence

from samples.maker import blocks
from samples.maker.draw import WHITE, Color
from samples.maker.page import Page


def timeline(p: Page, x: float, y: float, right: float, items: blocks.Rows, *, alert: Color | None = None) -> float:
    """What happened, newest first: (heading, text) beside a line with dots."""
    for i, ((head, body), date) in enumerate(zip(items, p.dates(len(items)), strict=True)):
        first = i == 0
        ink = (alert or p.theme.accent) if first else p.theme.faint
        top = y
        p.disc(x + 10, y + 20, 11 if first else 8, ink)
        p.text(x + 42, y + 20, head, p.size(27), ink if first else p.theme.ink, bold=first, width=right - x - 280)
        p.text(right, y + 20, date[5:], p.size(21), p.theme.faint, anchor="rm")
        y = p.paragraph(
            x + 42, y + 46, body, p.size(24), p.theme.ink if first else p.theme.faint, right - x - 46, lines=3
        )
        if p.masks and p.chance(0.35):
            p.scribble(x + 60, y - 20, (right - x) * p.rng.uniform(0.2, 0.6), 24)
        y += 26
        if i < len(items) - 1:
            p.line([(x + 10, top + 36), (x + 10, y + 4)], p.theme.rule, 3)
    return y


def timeline_card(p: Page, items: blocks.Rows, *, alert: Color | None = None) -> None:
    """A card just as high as its events."""
    room = p.right - p.left - 90
    lines = [min(3, math.ceil(p.measure(body, p.size(24)) / room)) for _, body in items]
    x, y, right = blocks.card(p, 32 + sum(72 + count * p.size(24) * 1.45 for count in lines))
    timeline(p, x, y + 20, right, items, alert=alert)


def stepper(p: Page, y: float, names: Sequence[str], at: int, *, ink: Color | None = None) -> float:
    """Steps in a row, joined by a line, done up to `at`."""
    ink = ink or p.theme.accent
    step = (p.right - p.left - 40) / len(names)
    for i, name in enumerate(names):
        x = p.left + 20 + step * (i + 0.5)
        fill = ink if i <= at else p.theme.rule
        if i:
            p.line([(x - step + 26, y + 26), (x - 26, y + 26)], fill, 5)
        p.disc(x, y + 26, 22, fill)
        if i <= at:
            p.line([(x - 9, y + 26), (x - 2, y + 34), (x + 11, y + 18)], WHITE, 4)
        p.text(x, y + 72, name, p.size(23), ink if i == at else p.theme.faint, anchor="mm", width=step)
    return y + 100
