"""Pictures inside dialogues: what a shopper sends along with a question about one thing."""

import random

from PIL import Image

from samples.maker import bars, blocks, photos
from samples.maker.draw import WHITE, blend
from samples.maker.finish import shrink
from samples.maker.goods import Goods, shape_of
from samples.maker.page import Page

WIDTH = 200


def draw_picture(rng: random.Random, *, kind: str, goods: str) -> Image.Image:
    """A picture of `goods`: its "product" page, its "detail" page, a "photo", or an "order" for it."""
    shape = shape_of(goods)
    if kind == "photo":
        picture = photos.take(rng, "train", rng.choice(("thing", "thing", "flaw")), shape=shape)
        return shrink(picture, WIDTH)
    page = Page(rng, "train")
    price = rng.randint(9, 900) + 0.9
    _KINDS[kind](page, Goods(f"{rng.choice(('家用', '新款', '经典'))}{goods}", goods, shape, price, ("标准款", "默认")))
    return shrink(page.image.crop((0, 0, page.w, min(page.h, round(page.y) + 20))), WIDTH)


def _product(p: Page, goods: Goods) -> None:
    p.paste(p.tile(goods, p.w), 0, 0)
    bars.status_bar(p)
    p.y = p.w
    x, y, right = blocks.card(p, 210)
    p.text(x, y + 54, f"¥{goods.price:g}", p.size(56), p.theme.accent, bold=True)
    p.text(x, y + 134, goods.title, p.size(36), p.theme.ink, bold=True, width=right - x)
    p.y += 20
    blocks.button(p, (p.left + 20, p.y, p.right - 20, p.y + 84), "立即购买", "full", 34)
    p.y += 90


def _detail(p: Page, goods: Goods) -> None:
    ground = blend(p.any_color(60, 230), WHITE, 0.6)
    p.gradient((0, 0, p.w, 800), ground, WHITE)
    p.text(p.w / 2, 90, goods.title, 58, (50, 50, 56), bold=True, anchor="mm", width=660)
    p.paste(p.tile(goods, 560), 80, 170, 40)
    p.y = 780
    x, y, right = blocks.card(p, 250)
    blocks.pairs(p, x, y + 10, right, [("品名", goods.name), ("货号", p.digits(8)), ("规格", goods.options[0])], gap=76)


def _order(p: Page, goods: Goods) -> None:
    bars.plain_top(p, "订单详情")
    x, y, right = blocks.card(p, 230)
    blocks.goods_row(p, x, y + 36, right, goods, masked=False)
    x, y, right = blocks.card(p, 300)
    rows = [("订单编号", p.digits(14)), ("下单时间", p.date()), ("实付款", f"¥{goods.price:.2f}")]
    blocks.pairs(p, x, y + 20, right, rows, gap=84)


_KINDS = {"product": _product, "detail": _detail, "order": _order}
