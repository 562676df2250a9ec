"""The pieces that screens are put together from. Most take a place and return the `y` below themselves."""

from collections.abc import Sequence

from samples.maker.draw import WHITE, Box, Color, blend
from samples.maker.goods import Goods
from samples.maker.page import Page

Rows = Sequence[tuple[str, str]]


def card(p: Page, high: float, fill: Color | None = None) -> tuple[float, float, float]:
    """A rounded card across the page; returns its inner left, top and right, and moves the page on."""
    top = p.y + 14
    p.box((p.left, top, p.right, top + high), fill or p.theme.card, p.theme.radius)
    p.y = top + high
    return p.left + 22, top, p.right - 22


def button(p: Page, box: Box, words: str, style: str = "full", size: float = 27) -> None:
    """ "full": gradient; "line": outline in the accent; "grey": outline in grey; "flat": one colour."""
    radius = (box[3] - box[1]) / 2
    ink = WHITE
    if style == "full":
        p.gradient(box, p.theme.warm, p.theme.accent, radius, across=True)
    elif style == "flat":
        p.box(box, p.theme.accent, radius)
    else:
        ink = p.theme.accent if style == "line" else p.theme.ink
        p.box(box, None, radius, outline=ink if style == "line" else p.theme.faint)
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    p.text(*middle, words, p.size(size), ink, bold=style in {"full", "flat"}, anchor="mm", width=box[2] - box[0])


def button_row(p: Page, y: float, names: Sequence[str], *, right: float | None = None, high: float = 58) -> None:
    """Small buttons from the right edge; the last one is the one to press."""
    x = right or p.right - 20
    for i, name in enumerate(reversed(names)):
        wide = p.measure(name, p.size(25)) + 48
        button(p, (x - wide, y, x, y + high), name, "line" if i == 0 else "grey", 25)
        x -= wide + 16


def wide_button(p: Page, words: str, style: str = "full", *, up: float = 76) -> None:
    """The one button at the foot of a page or sheet."""
    button(p, (p.left + 20, p.h - up - 84, p.right - 20, p.h - up), words, style, 31)


def chip(p: Page, x: float, y: float, words: str, *, on: bool = False, size: float = 25) -> float:
    """A pill to choose; returns where the next may start."""
    wide = p.measure(words, p.size(size)) + 44
    high = p.size(size) * 2.1
    ground = p.theme.tint() if on else blend(p.theme.card, p.theme.ink, 0.05)
    p.box((x, y, x + wide, y + high), ground, min(p.theme.radius, 30), outline=p.theme.accent if on else None)
    p.text(x + 22, y + high / 2, words, p.size(size), p.theme.accent if on else p.theme.ink)
    return x + wide + 18


def tag(p: Page, x: float, y: float, words: str, fill: Color | None = None) -> float:
    wide = p.measure(words, 21) + 20
    fill = fill or p.theme.accent
    p.box((x, y - 16, x + wide, y + 16), blend(fill, p.theme.card, 0.86), 5)
    p.text(x + 10, y, words, 21, fill)
    return x + wide + 12


def pairs(p: Page, x: float, y: float, right: float, rows: Rows, *, gap: float = 54, flush: bool = True) -> float:
    """Name at the left, value at the right edge, or in a column of its own if not `flush`."""
    for name, value in rows:
        p.text(x, y + gap / 2, name, p.size(26), p.theme.faint)
        if flush:
            p.text(right, y + gap / 2, value, p.size(26), p.theme.ink, anchor="rm", width=right - x - 190)
        else:
            p.text(x + 170, y + gap / 2, value, p.size(26), p.theme.ink, width=right - x - 170)
        y += gap
    return y


def goods_row(
    p: Page,
    x: float,
    y: float,
    right: float,
    goods: Goods,
    *,
    side: float = 150,
    price: bool = True,
    masked: bool = True,
) -> float:
    """Thumbnail, title, variant, price and number."""
    p.paste(p.tile(goods, side), x, y, min(p.theme.radius, 16))
    tx = x + side + 20
    room = right - tx - (130 if price else 0)
    p.text(tx, y + 24, goods.title, p.size(26), p.theme.ink, width=room)
    if masked and p.masks:
        p.scribble(tx, y + 24, min(room, p.measure(goods.title, p.size(26))) * p.rng.uniform(0.5, 1), p.size(26))
    p.text(tx, y + 66, f"{goods.options[0]};{goods.options[1]}", p.size(23), p.theme.faint, width=room)
    tag(p, tx, y + 108, p.word(("7天无理由退换", "退货宝", "极速发货"), ("正品保障", "晚到必赔", "破损包赔")))
    if price:
        p.text(right, y + 24, f"¥{goods.price:.2f}", p.size(26), p.theme.ink, anchor="rm")
        p.text(right, y + 64, f"x{p.rng.randint(1, 3)}", p.size(23), p.theme.faint, anchor="rm")
    return y + side


def goods_grid(p: Page, columns: int, rows: int, *, priced: bool = True, foot: bool = True) -> None:
    """Cards with a picture each, as shops and recommendations show goods."""
    gap = 14
    side = (p.right - p.left - gap * (columns - 1)) / columns
    text_room = 110 if foot else 0
    for i in range(columns * rows):
        x, y = p.left + (i % columns) * (side + gap), p.y + 14 + (i // columns) * (side + text_room + gap)
        goods = p.goods()
        p.box((x, y, x + side, y + side + text_room), p.theme.card, p.theme.radius)
        p.paste(p.tile(goods, side), x, y, p.theme.radius)
        if foot:
            p.text(x + 14, y + side + 32, goods.title, p.size(24), p.theme.ink, width=side - 28)
            if priced:
                p.text(x + 14, y + side + 78, f"¥{goods.price:g}", p.size(30), p.theme.accent, bold=True)
                p.text(
                    x + side - 14,
                    y + side + 80,
                    f"{p.rng.randint(1, 900)}人付款",
                    20,
                    p.theme.faint,
                    anchor="rm",
                    width=side / 2,
                )
    p.y += rows * (side + text_room + gap) + 14


def sheet(p: Page, top: float, title: str = "", *, dim: float = 0.55) -> None:
    """Dims what is there and slides a sheet up to `top`."""
    p.shade((0, 0, p.w, p.h), dim)
    p.box((0, top, p.w, p.h + 60), p.theme.card, max(24, p.theme.radius))
    p.y = top + 20
    if title:
        p.text(p.w / 2, top + 48, title, p.size(31), p.theme.ink, bold=True, anchor="mm")
        cross(p, p.w - 48, top + 48, 12, p.theme.faint)
        p.y = top + 90


def cross(p: Page, x: float, y: float, r: float, ink: Color) -> None:
    p.line([(x - r, y - r), (x + r, y + r)], ink, 4)
    p.line([(x + r, y - r), (x - r, y + r)], ink, 4)


def avatar(p: Page, x: float, y: float, r: float) -> None:
    ground = blend(p.any_color(60, 220), WHITE, 0.3)
    p.disc(x, y, r, ground)
    p.disc(x, y - r * 0.2, r * 0.36, blend(ground, WHITE, 0.7))
    p.pen.pieslice((x - r * 0.65, y + r * 0.2, x + r * 0.65, y + r * 1.5), 190, 350, fill=blend(ground, WHITE, 0.7))


def amount(p: Page, x: float, y: float, words: str, size: float, ink: Color, *, anchor: str = "mm") -> None:
    p.text(x, y, words, p.size(size), ink, bold=True, anchor=anchor)


def ticket(p: Page, box: Box, value: str, head: str, foot: str, action: str, ground: Color) -> None:
    """A coupon: the value on the left, notches where it would tear, a button on the right."""
    x0, y0, x1, y1 = box
    tear, mid = x0 + (x1 - x0) * 0.3, (y0 + y1) / 2
    p.box(box, ground, 14)
    for edge in (y0, y1):
        behind = p.image.getpixel((round(tear), min(p.h - 1, round(edge + (-6 if edge == y0 else 6)))))
        half = (0, 180) if edge == y0 else (180, 360)
        p.pen.pieslice((tear - 13, edge - 13, tear + 13, edge + 13), *half, fill=behind)
    for y in range(round(y0) + 20, round(y1) - 16, 16):
        p.box((tear - 1, y, tear + 1, y + 8), blend(ground, p.theme.accent, 0.35))
    p.text(
        (x0 + tear) / 2,
        mid,
        value,
        min(p.size(46), (tear - x0) * 1.25 / len(value)),
        p.theme.accent,
        bold=True,
        anchor="mm",
    )
    p.text(
        tear + 24,
        mid - 22,
        head,
        p.size(26),
        blend(p.theme.accent, (60, 20, 10), 0.5),
        bold=True,
        width=x1 - tear - 190,
    )
    p.text(tear + 24, mid + 24, foot, p.size(20), (150, 110, 100), width=x1 - tear - 190)
    button(p, (x1 - 150, mid - 28, x1 - 18, mid + 28), action, p.rng.choice(("full", "flat")), 23)
