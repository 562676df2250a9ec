"""What frames a screen: status bar, title bar, tabs, the bar at the bottom, the phone's own buttons."""

from collections.abc import Sequence

from samples.maker.draw import BLACK, WHITE, Color, blend
from samples.maker.page import Page


def status_bar(p: Page, ink: Color | None = None, ground: Color | None = None) -> None:
    """Clock, signal and battery, as differently arranged as phones are."""
    high = p.rng.choice((52, 62, 72, 80))
    ink = ink or p.theme.ink
    if ground is not None:
        p.box((0, 0, p.w, high), ground)
    clock = f"{p.rng.randint(0, 23)}:{p.rng.randint(0, 59):02}"
    p.text(40, high * 0.55, clock, 27, ink, bold=p.chance(0.6))
    x, y = p.w - 36.0, high * 0.55
    level = p.rng.random()
    p.box((x - 46, y - 11, x, y + 11), None, 6, outline=ink, width=2)
    p.box((x - 42, y - 7, x - 42 + 38 * level, y + 7), ink, 3)
    for i in range(4):
        p.box((x - 140 + i * 9, y + 10 - 5 * (i + 1), x - 135 + i * 9, y + 10), ink, 1)
    p.text(x - 54, y, p.rng.choice(("5G", "4G", "WiFi", "5G")), 19, ink, anchor="rm")
    if p.chance(0.25):
        p.box((p.w / 2 - 90, y - 18, p.w / 2 + 90, y + 16), BLACK, 17)
    elif p.chance(0.3):
        for i in range(p.rng.randint(1, 3)):
            p.box((150 + i * 32, y - 10, 170 + i * 32, y + 10), p.theme.faint, 6)
    p.y = high


def back_arrow(p: Page, x: float, y: float, ink: Color) -> None:
    p.line([(x + 13, y - 14), (x, y), (x + 13, y + 14)], ink, 4)


def dots(p: Page, x: float, y: float, ink: Color) -> None:
    for i in (-11, 0, 11):
        p.disc(x + i, y, 4, ink)


def share_icon(p: Page, x: float, y: float, ink: Color) -> None:
    p.pen.arc((x - 14, y - 14, x + 14, y + 14), 40, 330, fill=ink, width=4)
    p.polygon([(x + 4, y - 16), (x + 20, y - 12), (x + 8, y)], ink)


def title_bar(p: Page, title: str, *, ink: Color | None = None, ground: Color | None = None) -> None:
    """Back arrow, title in the middle or at the left, one to three icons at the right."""
    ink = ink or p.theme.ink
    high = p.rng.choice((76, 84, 92))
    if ground is not None:
        p.box((0, p.y, p.w, p.y + high), ground)
    mid = p.y + high / 2
    back_arrow(p, 30, mid, ink)
    if p.chance(0.6):
        p.text(p.w / 2, mid, title, p.size(33), ink, bold=p.chance(0.5), anchor="mm", width=420)
    else:
        p.text(76, mid, title, p.size(33), ink, bold=p.chance(0.5), width=420)
    dots(p, p.w - 48, mid, ink)
    if p.chance(0.7):
        share_icon(p, p.w - 108, mid, ink)
    p.y += high


def plain_top(p: Page, title: str) -> None:
    """The commonest top of a page: status bar and title on the page's own ground."""
    ground = p.rng.choice((p.theme.card, p.theme.page))
    p.box((0, 0, p.w, 180), ground)
    status_bar(p)
    title_bar(p, title)


def band_top(p: Page, title: str, high: float, *, first: Color | None = None, last: Color | None = None) -> None:
    """A top whose colour runs on behind the first cards."""
    first = first or p.theme.accent
    p.gradient((0, 0, p.w, high), first, last or p.theme.warm, across=p.chance(0.4))
    status_bar(p, WHITE)
    title_bar(p, title, ink=WHITE)


def search_bar(p: Page, hint: str, *, ground: Color | None = None, button: str = "") -> None:
    high = 72
    box = (p.left + 50, p.y + 8, p.right - (0 if button else 60), p.y + high - 8)
    back_arrow(p, p.left + 8, p.y + high / 2, p.theme.ink if ground is None else WHITE)
    p.box(box, p.theme.card if ground is not None or p.theme.dark else blend(p.theme.page, BLACK, 0.04), 28)
    p.disc(box[0] + 32, p.y + high / 2 - 2, 10, None, p.theme.faint)
    p.line([(box[0] + 40, p.y + high / 2 + 6), (box[0] + 46, p.y + high / 2 + 12)], p.theme.faint, 3)
    p.text(box[0] + 58, p.y + high / 2, hint, p.size(25), p.theme.faint, width=300)
    if button:
        p.gradient((box[2] - 118, box[1] + 5, box[2] - 5, box[3] - 5), p.theme.warm, p.theme.accent, 24, across=True)
        p.text(box[2] - 61, p.y + high / 2, button, 25, WHITE, bold=True, anchor="mm")
    else:
        dots(p, p.right - 26, p.y + high / 2, p.theme.ink if ground is None else WHITE)
    p.y += high


def tabs(p: Page, names: Sequence[str], active: int = 0, *, ink: Color | None = None) -> None:
    """Equal columns, the chosen one bold and underlined."""
    ink = ink or p.theme.ink
    step = (p.w - 20) / len(names)
    for i, name in enumerate(names):
        x = 10 + step * (i + 0.5)
        chosen = i == active
        fill = (p.theme.accent if ink == p.theme.ink else ink) if chosen else blend(ink, p.theme.faint, 0.4)
        p.text(x, p.y + 34, name, p.size(28), fill, bold=chosen, anchor="mm", width=step)
        if chosen:
            p.box((x - 24, p.y + 60, x + 24, p.y + 66), fill, 3)
    p.y += 76


def home_bar(p: Page) -> None:
    """The phone's own strip at the very bottom."""
    if p.chance(0.6):
        p.box((p.w / 2 - 120, p.h - 18, p.w / 2 + 120, p.h - 10), p.theme.ink, 4)
        return
    p.box((0, p.h - 60, p.w, p.h), BLACK if p.theme.dark else p.theme.card)
    y, ink = p.h - 30, p.theme.faint
    p.polygon([(160, y), (184, y - 14), (184, y + 14)], ink)
    p.disc(p.w / 2, y, 14, None, ink)
    p.box((p.w - 184, y - 13, p.w - 158, y + 13), None, 4, outline=ink, width=3)


def bottom_ground(p: Page, high: float) -> float:
    """Ground of a fixed bar above the phone's strip; returns the middle of the bar."""
    top = p.h - high - 60
    p.box((0, top, p.w, p.h), p.theme.card)
    p.line([(0, top), (p.w, top)], p.theme.rule, 2)
    return top + high / 2


def bottom_nav(p: Page, names: Sequence[str], active: int) -> None:
    mid = bottom_ground(p, 104)
    step = p.w / len(names)
    for i, name in enumerate(names):
        x, ink = step * (i + 0.5), p.theme.accent if i == active else p.theme.faint
        icon(p, x, mid - 16, 20, ink, i)
        p.text(x, mid + 30, name, 22, ink, anchor="mm")
    home_bar(p)


def icon(p: Page, x: float, y: float, r: float, ink: Color, kind: int) -> None:
    """One of six little pictograms; which one means nothing."""
    kind %= 6
    if kind == 0:
        p.polygon([(x - r, y), (x, y - r), (x + r, y)], ink)
        p.box((x - r * 0.7, y, x + r * 0.7, y + r * 0.9), ink, 2)
    elif kind == 1:
        p.box((x - r, y - r * 0.7, x + r, y + r * 0.7), None, 6, outline=ink, width=4)
        p.line([(x - r * 0.5, y), (x + r * 0.5, y)], ink, 4)
    elif kind == 2:
        p.disc(x, y, r * 0.9, None, ink, 4)
        p.disc(x, y, r * 0.3, ink)
    elif kind == 3:
        p.line(
            [
                (x - r, y - r * 0.6),
                (x - r * 0.6, y + r * 0.4),
                (x + r * 0.7, y + r * 0.4),
                (x + r, y - r * 0.5),
            ],
            ink,
            4,
        )
        p.disc(x - r * 0.4, y + r * 0.8, 4, ink)
        p.disc(x + r * 0.5, y + r * 0.8, 4, ink)
    elif kind == 4:
        p.disc(x, y - r * 0.45, r * 0.45, ink)
        p.pen.pieslice((x - r * 0.9, y, x + r * 0.9, y + r * 1.8), 180, 360, fill=ink)
    else:
        p.star(x, y, r, ink)
