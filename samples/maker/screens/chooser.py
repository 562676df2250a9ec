"""商品分类选项: a sheet over the dimmed product page, with the variants of one thing to choose from."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE
from samples.maker.page import Page


def _behind(p: Page) -> None:
    goods = p.goods()
    p.paste(p.tile(goods, p.w), 0, 0)
    bars.status_bar(p)
    p.y = p.w
    blocks.goods_grid(p, 2, 2)


def _head(p: Page, side: float) -> None:
    goods = p.goods()
    x, y = p.left + 12, p.y + 10
    p.paste(p.tile(goods, side), x, y, 14)
    tx = x + side + 24
    p.text(tx, y + 30, f"¥{goods.price:g}", p.size(46), p.theme.accent, bold=True)
    p.text(
        tx,
        y + 84,
        p.word(("库存充足", "仅剩7件", "券后更低"), ("余量紧张", "有货", "限购2件")),
        p.size(24),
        p.theme.faint,
    )
    p.text(
        tx,
        y + 126,
        f"{p.word(('已选', '请选择'), ('选中', '当前'))}: {goods.options[0]} {goods.options[1]}",
        p.size(25),
        p.theme.ink,
        width=p.right - tx,
    )
    blocks.cross(p, p.right - 26, y + 10, 12, p.theme.faint)
    p.y = y + side + 30


def _group(p: Page, name: str, options: list[str], *, pictured: bool = False) -> None:
    p.text(p.left + 12, p.y + 26, name, p.size(28), p.theme.ink, bold=True)
    x, y = p.left + 12.0, p.y + 62
    chosen = p.rng.randrange(len(options))
    for i, option in enumerate(options):
        wide = p.measure(option, p.size(25)) + 64 + (60 if pictured else 0)
        if x + wide > p.right and x > p.left + 12:
            x, y = p.left + 12, y + p.size(25) * 2.1 + 20
        if pictured:
            p.paste(p.tile(p.goods(), 52), x, y, 8)
            x += 60
        x = blocks.chip(p, x, y, option, on=i == chosen)
    p.y = y + p.size(25) * 2.1 + 34


def _colors(p: Page) -> tuple[str, list[str]]:
    names = p.world.colors
    extra = p.words(("加绒款", "升级版", "礼盒装", "经典款"), ("限定版", "套组", "单品", "联名款"), 4)
    options = [f"{color}{'-' + p.rng.choice(extra) if p.chance(0.5) else ''}" for color in names]
    return p.word(("颜色分类", "颜色"), ("款式颜色", "颜色款式")), options


def _sizes(p: Page) -> tuple[str, list[str]]:
    return p.word(("规格", "尺码", "容量"), ("型号", "尺寸选择")), list(p.world.sizes)


def _long_options(p: Page) -> tuple[str, list[str]]:
    options = [
        f"{p.rng.choice(p.world.colors)} {p.rng.choice(p.world.sizes)}"
        f"【{p.word(('送收纳袋', '官方标配', '送运费险'), ('含配件', '店长推荐', '加送滤芯'))}】"
        for _ in range(6)
    ]
    return p.word(("套餐类型", "组合"), ("购买方案", "搭配")), options


def _count(p: Page) -> None:
    p.text(
        p.left + 12,
        p.y + 34,
        p.word(("购买数量", "数量"), ("件数", "购买件数")),
        p.size(28),
        p.theme.ink,
        bold=True,
    )
    for i, sign in enumerate(("－", str(p.rng.randint(1, 3)), "＋")):
        x = p.right - 170 + i * 66
        p.box((x - 30, p.y + 6, x + 30, p.y + 62), p.theme.page, 8)
        p.text(x, p.y + 34, sign, 27, p.theme.ink, anchor="mm")
    p.y += 84


def _foot(p: Page, *, two: bool) -> None:
    y = p.h - 150
    if two:
        p.gradient((p.left + 10, y, p.w / 2, y + 80), (255, 205, 50), (255, 160, 0), 40, across=True)
        p.text(p.w / 4, y + 40, p.word(("加入购物车",), ("加购",)), 30, WHITE, bold=True, anchor="mm")
        blocks.button(
            p,
            (p.w / 2 + 8, y, p.right - 10, y + 80),
            p.word(("立即购买", "领券购买"), ("现在下单",)),
            "full",
            30,
        )
    else:
        blocks.wide_button(p, p.word(("确定", "确认", "立即购买"), ("选好了", "就买它")))
    bars.home_bar(p)


def chips(p: Page) -> None:
    _behind(p)
    blocks.sheet(p, p.rng.randint(340, 480), dim=0.5)
    _head(p, 190)
    _group(p, *_colors(p))
    _group(p, *_sizes(p))
    _count(p)
    _foot(p, two=True)


def pictured(p: Page) -> None:
    _behind(p)
    blocks.sheet(p, p.rng.randint(260, 380), dim=0.6)
    _head(p, 170)
    _group(p, *_colors(p), pictured=True)
    _group(p, *_sizes(p))
    _count(p)
    _foot(p, two=False)


def long_list(p: Page) -> None:
    _behind(p)
    blocks.sheet(p, p.rng.randint(320, 420), dim=0.55)
    _head(p, 200)
    _group(p, *_long_options(p))
    _count(p)
    _foot(p, two=p.chance(0.5))


def gallery(p: Page) -> None:
    """Variants as picture cards, two rows of three, above the chips."""
    _behind(p)
    blocks.sheet(p, p.rng.randint(200, 300), dim=0.5)
    _head(p, 150)
    _cards(p, 3)
    _group(p, *_sizes(p))
    _foot(p, two=True)


def _cards(p: Page, columns: int) -> None:
    side = (p.right - p.left - 24 - 16 * (columns - 1)) / columns
    chosen = p.rng.randrange(columns * 2)
    for i in range(columns * 2):
        x, y = p.left + 12 + (i % columns) * (side + 16), p.y + (i // columns) * (side + 66)
        p.paste(p.tile(p.goods(), side), x, y, 12)
        p.text(
            x + side / 2,
            y + side + 24,
            p.rng.choice(p.world.colors),
            24,
            p.theme.ink,
            anchor="mm",
            width=side,
        )
        if i == chosen:
            p.box((x, y, x + side, y + side + 46), None, 12, outline=p.theme.accent, width=4)
    p.y += 2 * (side + 66) + 10


def tall_sheet(p: Page) -> None:
    _behind(p)
    blocks.sheet(p, p.rng.randint(230, 330), dim=0.5)
    _head(p, 180)
    _group(p, *_sizes(p))
    _group(p, *_colors(p))
    _group(p, *_long_options(p))
    _foot(p, two=True)


def four_cards(p: Page) -> None:
    _behind(p)
    blocks.sheet(p, p.rng.randint(300, 420), dim=0.6)
    _head(p, 160)
    _cards(p, 4)
    _group(p, *_colors(p))
    _count(p)
    _foot(p, two=False)


TRAIN = (chips, pictured, long_list, gallery)
TEST = (tall_sheet, four_cards)
