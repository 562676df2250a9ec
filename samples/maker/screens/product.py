"""商品头图: a large main picture, the price below, the buying bar at the foot."""

from samples.maker import bars, blocks
from samples.maker.draw import BLACK, WHITE, blend
from samples.maker.page import Page


def _hero(p: Page, top: float, high: float) -> None:
    goods = p.goods()
    side = max(p.w, round(high))
    p.paste(p.tile(goods, side).crop((0, (side - round(high)) // 2, p.w, (side + round(high)) // 2)), 0, top)
    if p.chance(0.6):
        p.text(
            40,
            top + 170,
            p.word(("新品首发", "爆款直降", "买一送一"), ("限量发售", "厂家直供", "第二件半价")),
            60,
            p.theme.accent,
            bold=True,
        )
        p.text(40, top + 238, goods.title, 34, BLACK, width=560)
    if p.chance(0.5):
        p.gradient((0, top + high - 96, p.w, top + high), p.theme.accent, p.theme.warm, across=True)
        for i, words in enumerate(
            p.words(
                ("顺手包邮", "七天退换", "官方保修", "当天发货"),
                ("只换不修", "正品溯源", "闪电退款", "假一赔四"),
                3,
            )
        ):
            p.text(120 + i * 240, top + high - 48, words, 32, WHITE, bold=True, anchor="mm")
    p.box((p.w - 110, top + high - 150, p.w - 24, top + high - 108), blend(BLACK, WHITE, 0.4), 20)
    p.text(p.w - 67, top + high - 129, f"1/{p.rng.randint(3, 9)}", 24, WHITE, anchor="mm")


def _top_icons(p: Page) -> None:
    for x in (50.0, p.w - 130.0, p.w - 50.0):
        p.disc(x, p.y + 40, 30, blend(BLACK, WHITE, 0.45))
    bars.back_arrow(p, 44, p.y + 40, WHITE)
    bars.share_icon(p, p.w - 132, p.y + 40, WHITE)
    bars.dots(p, p.w - 50, p.y + 40, WHITE)


def _facts(p: Page) -> None:
    goods = p.goods()
    x, y, right = blocks.card(p, p.rng.choice((280, 310)))
    p.text(x, y + 52, "¥", 30, p.theme.accent, bold=True)
    took = p.text(x + 26, y + 46, f"{goods.price:g}", 54, p.theme.accent, bold=True)
    p.text(x + 50 + took, y + 54, p.word(("券后", "到手价", "优惠价"), ("补贴价", "直播价")), 26, p.theme.accent)
    p.text(
        right,
        y + 54,
        p.word(("已售300+", "月销2000+", "已售1万+"), ("热卖600+", "总销5000+")),
        24,
        p.theme.faint,
        anchor="rm",
    )
    end = x
    for words in p.words(
        ("满300减30", "店铺券5元", "云集红包", "分期免息"),
        ("立减20元", "跨店满减", "会员95折", "积分抵现"),
        3,
    ):
        end = blocks.tag(p, end, y + 108, words)
    p.paragraph(x, y + 136, f"{goods.title} {p.goods().title}", p.size(30), p.theme.ink, right - x, bold=True, lines=2)
    if p.masks:
        p.scribble(x + 40, y + 158, p.rng.uniform(200, 520), 32)


def _services(p: Page, rows: int) -> None:
    x, y, right = blocks.card(p, 66 * rows + 16)
    names = p.words(("发货", "保障", "规格", "参数", "运费"), ("配送", "服务", "选择", "品质", "优惠"), rows)
    values = p.words(
        ("48小时内发货 | 包邮", "七天无理由 · 极速退款", "品牌、适用人群、容量", "选择颜色、尺码分类", "满59元免运费"),
        ("预计后天送达", "破损必赔 · 上门安装", "请选购买款式", "材质、产地、保质期", "每满200减25"), rows,
    )  # fmt: skip
    blocks.pairs(p, x, y + 8, right, list(zip(names, values, strict=True)), gap=66, flush=False)


def _buying_bar(p: Page, *, joined: bool = True) -> None:
    mid = bars.bottom_ground(p, 108)
    for i, name in enumerate(p.words(("店铺", "客服", "收藏"), ("进店", "咨询", "喜欢"), 3)):
        bars.icon(p, 50 + i * 84, mid - 18, 17, p.theme.ink, i + p.rng.randint(0, 3))
        p.text(50 + i * 84, mid + 24, name, 20, p.theme.ink, anchor="mm")
    left, gap = 290.0, 0 if joined else 14
    half = (p.right - left) / 2
    p.gradient((left, mid - 40, left + half - gap, mid + 40), (255, 208, 40), (255, 160, 0), 40, across=True)
    blocks.button(
        p,
        (left + half, mid - 40, p.right, mid + 40),
        p.word(("立即购买", "领券购买"), ("立即下单", "马上抢")),
        "full",
        29,
    )
    if joined:
        p.box((left + half - 50, mid - 40, left + half, mid + 40), (255, 160, 0))
        p.box((left + half, mid - 40, left + half + 45, mid + 40), p.theme.warm)
        p.text(left + half * 1.5, mid, p.word(("立即购买",), ("立即下单",)), 29, WHITE, bold=True, anchor="mm")
    p.text(left + half / 2, mid, p.word(("加入购物车",), ("加购物车",)), 29, WHITE, bold=True, anchor="mm")
    bars.home_bar(p)


def _full_bleed(p: Page, high: float, rows: int, *, joined: bool = True) -> None:
    _hero(p, 0, high)
    bars.status_bar(p, BLACK)
    _top_icons(p)
    p.y = high
    _facts(p)
    _services(p, rows)
    _buying_bar(p, joined=joined)


def tall(p: Page) -> None:
    _full_bleed(p, p.rng.randint(800, 900), 3)


def square(p: Page) -> None:
    _full_bleed(p, 720, 4, joined=False)


def with_tabs(p: Page) -> None:
    bars.status_bar(p)
    bars.tabs(p, p.words(("商品", "评价", "详情", "推荐"), ("宝贝", "口碑", "图文", "猜你喜欢"), 4))
    _hero(p, p.y, 700)
    p.y += 700
    _facts(p)
    _services(p, 3)
    _buying_bar(p)


def with_thumbs(p: Page) -> None:
    _hero(p, 0, 690)
    bars.status_bar(p, BLACK)
    _top_icons(p)
    p.y = 690
    _thumbs(p)
    _facts(p)
    _services(p, 3)
    _buying_bar(p, joined=False)


def _thumbs(p: Page) -> None:
    p.box((0, p.y, p.w, p.y + 120), p.theme.card)
    for i in range(5):
        p.paste(p.tile(p.goods(), 100), 24 + i * 116, p.y + 10, 10)
    p.text(p.w - 66, p.y + 60, p.word(("6款", "8色"), ("共5款", "12种")), 24, p.theme.faint, anchor="mm")
    p.y += 120


def deal_strip(p: Page) -> None:
    _hero(p, 0, 760)
    bars.status_bar(p, BLACK)
    _top_icons(p)
    p.gradient((0, 760, p.w, 850), p.theme.accent, p.theme.warm, across=True)
    p.text(30, 805, f"¥{p.money(20, 400)}", 44, WHITE, bold=True)
    p.text(p.right, 805, p.word(("距结束 03:12:40",), ("仅剩 1天 6小时",)), 26, WHITE, anchor="rm")
    p.y = 850
    _facts(p)
    _services(p, 2)
    _buying_bar(p, joined=False)


def thumbs_and_tabs(p: Page) -> None:
    bars.status_bar(p)
    bars.search_bar(p, p.goods().name)
    _hero(p, p.y, 650)
    p.y += 650
    _thumbs(p)
    _facts(p)
    _services(p, 3)
    _buying_bar(p)


TRAIN = (tall, square, with_tabs, with_thumbs)
TEST = (deal_strip, thumbs_and_tabs)
