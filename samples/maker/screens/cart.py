"""购物车页面: shops with round tick boxes before their goods, and the sum at the foot."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE, Color
from samples.maker.page import Page

_REDS: tuple[Color, ...] = ((245, 40, 50), (255, 80, 20), (240, 30, 80), (255, 100, 30))


def _tick(p: Page, x: float, y: float, *, on: bool) -> None:
    p.disc(x, y, 19, p.theme.accent if on else None, None if on else p.theme.faint)
    if on:
        p.line([(x - 9, y), (x - 2, y + 7), (x + 10, y - 8)], WHITE, 4)


def _head(p: Page, *, red: bool) -> None:
    title = p.word(("购物车", "购物车(12)"), ("我的购物车", "购物车 · 5件"))
    if red:
        p.gradient((0, 0, p.w, 250), p.rng.choice(_REDS), p.rng.choice(_REDS), across=True)
    ink = WHITE if red else p.theme.ink
    bars.status_bar(p, ink)
    p.text(p.left + 12, p.y + 46, title, p.size(38), ink, bold=True)
    p.text(p.right - 12, p.y + 46, p.word(("管理",), ("编辑",)), p.size(28), ink, anchor="rm")
    p.y += 88
    bars.tabs(p, p.words(("全部", "降价", "常购", "失效"), ("所有商品", "有优惠", "低库存", "分类"), 4), ink=ink)


def _row(p: Page, y: float, right: float, side: float) -> None:
    goods = p.goods()
    x = p.left + 22.0
    _tick(p, x + 18, y + side / 2, on=p.chance(0.5))
    p.paste(p.tile(goods, side), x + 56, y, min(16, p.theme.radius))
    tx = x + side + 78
    p.text(tx, y + 24, goods.title, p.size(26), p.theme.ink, width=right - tx)
    blocks.chip(p, tx, y + 48, f"{goods.options[0]},{goods.options[1]}", size=20)
    if side > 170:
        blocks.tag(p, tx, y + 122, p.word(("满200减20", "7天无理由"), ("每满100减10", "运费险")))
    p.text(tx, y + side - 20, f"¥{goods.price:g}", p.size(33), p.theme.accent, bold=True)
    p.box((right - 96, y + side - 44, right, y + side), p.theme.page, 8)
    p.text(right - 48, y + side - 22, f"x{p.rng.randint(1, 4)}", 25, p.theme.ink, anchor="mm")


def _shop(p: Page, count: int, side: float) -> None:
    x, y, right = blocks.card(p, 86 + count * (side + 30))
    _tick(p, x + 18, y + 44, on=p.chance(0.4))
    p.private(x + 56, y + 44, p.rng.choice(p.world.shops), p.size(28), p.theme.ink)
    p.text(right, y + 44, p.word(("领券", "凑单"), ("优惠", "进店")), p.size(24), p.theme.accent, anchor="rm")
    for i in range(count):
        _row(p, y + 80 + i * (side + 30), right, side)


def _settle(p: Page, *, nav: bool) -> None:
    """全选, 合计 and the button; under it the app's tabs if it is one of the app's main pages."""
    up = 150 if nav else 60
    top = p.h - up - 110
    p.box((0, top, p.w, p.h), p.theme.card)
    if p.chance(0.5):
        p.box((0, top - 58, p.w, top), p.theme.tint(0.85))
        p.text(
            p.left + 20,
            top - 29,
            p.word(("已享满减优惠,再买30元可减更多",), ("还差18元可用店铺券",)),
            24,
            p.theme.accent,
        )
    mid = top + 55
    _tick(p, p.left + 40, mid, on=p.chance(0.3))
    p.text(p.left + 72, mid, p.word(("全选",), ("全部选中",)), p.size(26), p.theme.ink)
    p.text(
        p.right - 240,
        mid - 14,
        f"{p.word(('合计',), ('总计', '合计'))}: ¥{p.money(20, 3000)}",
        p.size(29),
        p.theme.accent,
        bold=True,
        anchor="rm",
    )
    p.text(
        p.right - 240,
        mid + 26,
        p.word(("优惠减¥32.00 明细",), ("共省¥15 查看",)),
        21,
        p.theme.faint,
        anchor="rm",
    )
    blocks.button(
        p,
        (p.right - 220, mid - 40, p.right, mid + 40),
        f"{p.word(('结算',), ('去结算', '结算'))}({p.rng.randint(1, 9)})",
        "full",
        30,
    )
    if nav:
        for i, name in enumerate(p.words(("首页", "消息", "购物车", "我的"), ("推荐", "分类", "购物车", "个人"), 4)):
            bars.icon(p, 90 + i * 180, p.h - 112, 18, p.theme.accent if name == "购物车" else p.theme.faint, i)
            p.text(90 + i * 180, p.h - 72, name, 20, p.theme.faint, anchor="mm")
    bars.home_bar(p)


def _fill(p: Page, counts: tuple[int, ...], side: float) -> None:
    for count in counts:
        _shop(p, count, side)


def red_singles(p: Page) -> None:
    _head(p, red=True)
    _fill(p, (1, 1, 1, 1, 1), 180)
    _settle(p, nav=True)


def red_doubles(p: Page) -> None:
    _head(p, red=True)
    _fill(p, (2, 2, 2), 170)
    _settle(p, nav=False)


def white_mixed(p: Page) -> None:
    _head(p, red=False)
    _fill(p, (1, 2, 1, 2), 180)
    _settle(p, nav=True)


def savings_sheet(p: Page) -> None:
    """What the discount is made of, as a sheet over the cart."""
    red_singles(p)
    blocks.sheet(p, p.h * 0.36, p.word(("金额明细", "优惠明细"), ("减免明细",)))
    for i in range(4):
        x = p.left + 30 + i * 166
        p.paste(p.tile(p.goods(), 140), x, p.y, 12)
        _tick(p, x + 118, p.y + 22, on=True)
    rows = [(p.word(("商品总额",), ("商品合计",)), f"¥{p.money(90, 3000)}"), (p.word(("店铺优惠",), ("满减",)),
        f"-¥{p.money(5, 60)}"),
            (p.word(("红包",), ("补贴",)), f"-¥{p.money(1, 9)}"), ("合计", f"¥{p.money(90, 3000)}")]  # fmt: skip
    blocks.pairs(p, p.left + 30, p.y + 170, p.right - 30, rows, gap=84)
    _settle(p, nav=True)


def long_shop(p: Page) -> None:
    _head(p, red=p.chance(0.6))
    _fill(p, (3, 2), 176)
    _settle(p, nav=False)


def big_rows(p: Page) -> None:
    _head(p, red=p.chance(0.7))
    _fill(p, (1, 2, 2), 196)
    _settle(p, nav=True)


TRAIN = (red_singles, red_doubles, white_mixed, savings_sheet)
TEST = (long_shop, big_rows)
