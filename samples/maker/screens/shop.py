"""店铺页面: the shop's head with logo and fans over its goods, or a page about the shop."""

from samples.maker import bars, blocks
from samples.maker.draw import BLACK, WHITE, Color, blend
from samples.maker.page import Page


def _ground(p: Page) -> Color:
    """A shop's head is often a darkened picture, so its colour is the shop's and not the app's."""
    return blend(p.any_color(30, 170), BLACK, p.rng.uniform(0.1, 0.5))


def _head(p: Page, high: float) -> None:
    ground = _ground(p)
    p.gradient((0, 0, p.w, high), ground, blend(ground, WHITE, 0.15))
    bars.status_bar(p, WHITE)
    bars.search_bar(p, p.word(("搜索本店商品", "搜本店"), ("店内搜索", "在店里找")), ground=ground)
    p.box((p.left + 10, p.y + 20, p.left + 120, p.y + 130), WHITE, 16)
    bars.icon(p, p.left + 65, p.y + 75, 36, ground, p.rng.randint(0, 5))
    p.private(p.left + 144, p.y + 52, p.rng.choice(p.world.shops), p.size(33), WHITE)
    fans = f"{p.rng.uniform(1, 90):.1f}万{p.word(('粉丝',), ('关注者',))}"
    for i in range(5):
        p.star(p.left + 156 + i * 30, p.y + 102, 12, (255, 190, 60))
    p.text(p.left + 320, p.y + 102, fans, p.size(24), blend(WHITE, ground, 0.2))
    blocks.button(
        p,
        (p.right - 140, p.y + 44, p.right - 10, p.y + 106),
        p.word(("关注", "+ 关注"), ("订阅", "收藏店铺")),
        "full",
        27,
    )
    p.y += 160


def _shop_tabs(p: Page) -> None:
    bars.tabs(
        p,
        p.words(("精选", "宝贝", "新品", "活动", "会员"), ("推荐", "全部商品", "上新", "动态", "分类"), 4),
        ink=WHITE,
    )


def _foot(p: Page) -> None:
    bars.bottom_nav(
        p,
        p.words(("首页", "分类", "客服", "会员", "动态"), ("店铺", "全部", "联系掌柜", "逛逛", "买家秀"), 4),
        0,
    )


def _banner(p: Page, high: float) -> None:
    goods = p.goods()
    ground = blend(p.any_color(80, 250), WHITE, 0.3)
    p.gradient((p.left, p.y + 14, p.right, p.y + 14 + high), ground, blend(ground, BLACK, 0.25), p.theme.radius)
    p.paste(p.tile(goods, high - 60), p.right - high + 30, p.y + 44, round(high / 2))
    p.text(
        p.left + 40,
        p.y + 90,
        p.word(("店庆满减", "新品上市", "会员专享"), ("换季清仓", "老客回馈")),
        p.size(48),
        WHITE,
        bold=True,
    )
    p.text(p.left + 40, p.y + 150, goods.name, p.size(28), WHITE)
    p.y += high + 14


def _tickets(p: Page) -> None:
    for i in range(3):
        x = p.left + i * 230
        p.box((x, p.y + 14, x + 216, p.y + 120), p.theme.tint(0.85), 12)
        p.text(x + 108, p.y + 48, f"¥{p.rng.randint(3, 60)}", 40, p.theme.accent, bold=True, anchor="mm")
        p.text(x + 108, p.y + 94, p.word(("满99可用",), ("无门槛",)), 21, p.theme.accent, anchor="mm")
    p.y += 124


def grid(p: Page) -> None:
    _head(p, 400)
    _shop_tabs(p)
    blocks.goods_grid(p, 2, 3)
    _foot(p)


def banner(p: Page) -> None:
    _head(p, 400)
    _shop_tabs(p)
    _banner(p, 340)
    blocks.goods_grid(p, 3, 3)
    _foot(p)


def tickets(p: Page) -> None:
    _head(p, 400)
    _shop_tabs(p)
    _tickets(p)
    _banner(p, 260)
    blocks.goods_grid(p, 2, 2)
    _foot(p)


def about(p: Page) -> None:
    """Scores, licence and founding year of a shop."""
    _head(p, 460)
    for i, name in enumerate(p.words(("宝贝描述", "卖家服务", "物流服务"), ("商品得分", "服务得分", "发货得分"), 3)):
        x = p.w * (i + 0.5) / 3
        p.text(x, p.y + 36, f"{p.rng.uniform(4.5, 5):.1f}", p.size(40), WHITE, bold=True, anchor="mm")
        p.text(x, p.y + 84, name, p.size(24), WHITE, anchor="mm")
    p.y += 110
    rows = [(p.word(("开店时间",), ("成立于",)), f"201{p.rng.randint(0, 9)}-0{p.rng.randint(1, 9)}-16"),
        (p.word(("所在地",), ("地区",)), p.rng.choice(p.world.towns)),
            (p.word(("证照信息",), ("资质",)), "›"), (p.word(("服务电话",), ("热线",)),
             f"0{p.digits(2)}-{p.digits(7)}")]  # fmt: skip
    x, y, right = blocks.card(p, 320)
    blocks.pairs(p, x, y + 16, right, rows, gap=72)
    blocks.goods_grid(p, 2, 1)
    _foot(p)


def tickets_grid(p: Page) -> None:
    _head(p, 400)
    _shop_tabs(p)
    _tickets(p)
    blocks.goods_grid(p, 2, 3)
    _foot(p)


def two_banners(p: Page) -> None:
    _head(p, 400)
    _shop_tabs(p)
    _banner(p, 300)
    blocks.goods_grid(p, 2, 2)
    _banner(p, 220)
    _foot(p)


TRAIN = (grid, banner, tickets, about)
TEST = (tickets_grid, two_banners)
