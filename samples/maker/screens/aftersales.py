"""What the pages about refunds, returns and exchanges have in common."""

from samples.maker import bars, blocks
from samples.maker.page import Page


def goods_card(p: Page, title: str) -> None:
    """The thing it is all about, under a title."""
    x, y, right = blocks.card(p, 260)
    p.text(x, y + 40, title, p.size(29), p.theme.ink, bold=True)
    blocks.goods_row(p, x, y + 82, right, p.goods())


def facts(p: Page, rows: list[tuple[str, str]]) -> None:
    """Names and values in a card."""
    x, y, right = blocks.card(p, 56 * len(rows) + 30)
    blocks.pairs(p, x, y + 14, right, rows, gap=56)


def links(p: Page) -> None:
    """Whom to talk to."""
    _x, y, _right = blocks.card(p, 90)
    for cx, name in (
        (p.w * 0.28, p.word(("联系卖家",), ("联系商家",))),
        (p.w * 0.72, p.word(("官方客服", "专属客服"), ("平台客服",))),
    ):
        p.disc(cx - 80, y + 46, 15, p.theme.accent)
        p.text(cx - 54, y + 46, name, p.size(26), p.theme.ink)


def head(p: Page, title: str, *, ground: bool) -> None:
    """Title on white, or on a coloured band that runs on behind the first card."""
    if ground:
        bars.band_top(p, title, p.y + 240)
    else:
        bars.plain_top(p, title)
