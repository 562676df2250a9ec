"""优惠券领取页面: tickets to collect, on a page, in a sheet or in a pop-up."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE, Color
from samples.maker.page import Page

_GOLD: Color = (255, 222, 140)


def _coupon(p: Page, x0: float, x1: float, y: float, high: float) -> None:
    value = p.rng.choice((f"¥{p.rng.choice((3, 5, 8, 10, 20, 30, 50, 100))}", f"{p.rng.choice((8, 8.5, 9))}折"))
    head = p.word(
        ("满99元可用", "全店通用券", "实付满1500元可用", "新人专享红包"),
        ("消费满68可用", "指定商品券", "老友回归券", "无门槛红包"),
    )
    foot = p.word(
        ("2025.06.01-2025.06.20有效", "领取后3天内有效", "仅限本店使用"),
        ("有效期至7月31日", "当天24点前使用", "不可叠加"),
    )
    ground = p.rng.choice(((255, 240, 228), (255, 236, 236), (255, 246, 214)))
    blocks.ticket(
        p,
        (x0, y, x1, y + high),
        value,
        head,
        foot,
        p.word(("立即领取", "去使用", "领取", "已领取"), ("马上领", "使用", "收下")),
        ground,
    )


def _coupons(p: Page, count: int, high: float) -> None:
    for _ in range(count):
        _coupon(p, p.left + 8, p.right - 8, p.y + 20, high)
        p.y += high + 22


def coupon_list(p: Page) -> None:
    title = p.word(("领券中心", "优惠券", "我的卡券"), ("红包卡券", "券包"))
    if p.chance(0.5):
        bars.band_top(p, title, p.rng.randint(220, 420))
    else:
        bars.plain_top(p, title)
    bars.tabs(p, p.words(("未使用", "店铺券", "红包", "已过期"), ("可用", "平台券", "津贴", "失效"), 4))
    _coupons(p, p.rng.randint(6, 8), p.rng.randint(140, 170))
    bars.home_bar(p)


def coupon_sheet(p: Page) -> None:
    p.paste(p.tile(p.goods(), p.w), 0, 0)
    bars.status_bar(p)
    blocks.sheet(p, p.rng.randint(380, 560), p.word(("优惠详情", "领券"), ("优惠", "可领优惠")))
    _coupons(p, 4, 156)
    blocks.wide_button(p, p.word(("完成", "一键领取"), ("全部领取",)))


def coupon_popup(p: Page) -> None:
    """Coupons in a red frame over a dimmed page."""
    bars.plain_top(p, p.word(("首页",), ("推荐",)))
    blocks.goods_grid(p, 2, 3)
    p.shade((0, 0, p.w, p.h), 0.62)
    top = p.h * p.rng.uniform(0.2, 0.28)
    p.gradient((70, top, p.w - 70, top + 760), (238, 60, 50), (255, 120, 70), 36)
    p.text(
        p.w / 2,
        top + 80,
        p.word(("恭喜获得优惠券", "送您专属好券"), ("您有新的红包", "优惠到手")),
        p.size(46),
        WHITE,
        bold=True,
        anchor="mm",
    )
    for i in range(3):
        _coupon(p, 96, p.w - 96, top + 150 + i * 160, 140)
    p.box((170, top + 652, p.w - 170, top + 730), _GOLD, 39)
    p.text(
        p.w / 2,
        top + 691,
        p.word(("开心收下", "立即使用"), ("去逛逛",)),
        34,
        (190, 50, 20),
        bold=True,
        anchor="mm",
    )
    blocks.cross(p, p.w / 2, top + 830, 18, WHITE)


def coupon_strip(p: Page) -> None:
    """A cut-out of a screen: title and one or two coupons."""
    p.box((0, 0, p.w, p.h), WHITE)
    p.text(30, 70, p.word(("惊喜加油红包", "专享优惠"), ("节日特惠券",)), 40, (30, 30, 30), bold=True)
    p.y = 110
    _coupons(p, 7, 180)


def coupon_red(p: Page) -> None:
    bars.band_top(p, p.word(("领券中心",), ("天天有券", "领券大厅")), 460)
    p.text(
        p.w / 2,
        p.y + 50,
        p.word(("好券天天领",), ("每日好券 先到先得",)),
        p.size(50),
        WHITE,
        bold=True,
        anchor="mm",
    )
    p.y += 110
    _coupons(p, 7, 150)
    bars.home_bar(p)


def coupon_shop(p: Page) -> None:
    bars.plain_top(p, p.word(("店铺优惠券",), ("本店好券", "进店领券")))
    _coupons(p, 5, 164)
    blocks.goods_grid(p, 3, 1)
    bars.home_bar(p)


TRAIN = (coupon_list, coupon_sheet, coupon_popup, coupon_strip)
TEST = (coupon_red, coupon_shop)
