"""下单过程中出现异常: the checkout, dimmed, and a pop-up that says the purchase failed."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE, Color, blend
from samples.maker.page import Page


def _checkout(p: Page) -> None:
    """What the shopper saw before it failed."""
    bars.plain_top(p, p.word(("确认订单", "提交订单"), ("订单确认", "填写订单")))
    x, y, right = blocks.card(p, 140)
    p.text(
        x,
        y + 46,
        f"{p.world.towns[0]} {p.world.streets[0]}",
        p.size(30),
        p.theme.ink,
        bold=True,
        width=right - x,
    )
    p.private(
        x,
        y + 96,
        f"{p.rng.choice(p.world.buyers)} 1{p.digits(2)}****{p.digits(4)}",
        p.size(25),
        p.theme.faint,
    )
    x, y, right = blocks.card(p, 470)
    blocks.goods_row(p, x, y + 24, right, p.goods())
    rows = [(p.word(("配送方式", "运费"), ("送货", "发货时间")), p.word(("普通配送 免邮", "包邮"), ("快递送达", "今晚发出"))),
            (p.word(("店铺优惠",), ("商家券",)), f"-¥{p.money(1, 40)}"), (p.word(("订单备注",), ("留言",)),
             p.word(("无备注",), ("选填",)))]  # fmt: skip
    blocks.pairs(p, x, y + 200, right, rows, gap=76)
    x, y, right = blocks.card(p, 220)
    blocks.pairs(p, x, y + 20, right, [("红包", "-¥2.00"), ("合计", f"¥{p.money()}")], gap=80)
    mid = bars.bottom_ground(p, 100)
    blocks.button(p, (p.right - 220, mid - 38, p.right, mid + 38), p.word(("提交订单",), ("去付款",)))


def _face(p: Page, x: float, y: float, r: float) -> None:
    """The app's sorry mascot: a round orange-red head with a cap."""
    skin: Color = blend((255, 150, 60), (240, 60, 40), p.rng.random())
    p.disc(x, y, r, skin)
    p.pen.pieslice((x - r * 1.1, y - r * 1.15, x + r * 1.1, y + r * 0.55), 180, 360, fill=(225, 50, 30))
    p.disc(x, y + r * 0.25, r * 0.6, blend(skin, WHITE, 0.75))
    for side in (-1, 1):
        p.disc(x + side * r * 0.25, y + r * 0.12, r * 0.08, (60, 30, 20))
    p.pen.arc((x - r * 0.22, y + r * 0.4, x + r * 0.22, y + r * 0.75), 190, 350, fill=(60, 30, 20), width=4)


def _head(p: Page) -> str:
    return p.word(("购买失败", "很抱歉,购买失败", "抱歉,购买失败"), ("下单失败", "非常抱歉,无法购买", "购买未成功"))


def _reason(p: Page) -> str:
    return p.word(
        ("亲,同一时间下单人数过多,建议您稍后再试", "该商品库存不足,请减少数量后重新下单", "您已超过限购件数,每人仅限购买1件",
         "收货地址不在配送范围内,请更换地址", "商品信息已经变更,请返回刷新后购买"),
        ("活动太火爆啦,请过一会儿再来", "此宝贝已经卖光,看看别的吧", "账号存在风险,暂时不能购买", "优惠已失效,请重新核对订单金额",
         "所在地区暂不支持送货"),
    )  # fmt: skip


def _done(p: Page) -> str:
    return p.word(("我知道了", "确定", "知道了"), ("好的", "返回重试", "明白了"))


def _message(p: Page, top: float, wide: float) -> float:
    head_size = p.size(36)
    p.text(p.w / 2, top + 30, _head(p), head_size, p.theme.ink, bold=True, anchor="mm")
    words, y = _reason(p), top + 84
    while words:
        line = p._cut(words, 26, False, wide).rstrip("…")
        p.text(p.w / 2, y, line, 26, p.theme.faint, anchor="mm")
        words, y = words[len(line) :], y + 40
    return y


def foot_sheet(p: Page, share: float = 0.5) -> None:
    _checkout(p)
    blocks.sheet(p, p.h * share, dim=p.rng.uniform(0.5, 0.75))
    r = p.rng.randint(56, 90)
    _face(p, p.w / 2, p.y + 40 + r, r)
    _message(p, p.y + 70 + 2 * r, 560)
    blocks.wide_button(p, _done(p), p.rng.choice(("full", "full", "flat")))


def low_sheet(p: Page) -> None:
    foot_sheet(p, p.rng.uniform(0.54, 0.6))


def high_sheet(p: Page) -> None:
    foot_sheet(p, p.rng.uniform(0.42, 0.5))


def _dialog(p: Page, top: float, high: float, inset: float) -> tuple[float, float]:
    p.shade((0, 0, p.w, p.h), p.rng.uniform(0.5, 0.7))
    p.box((inset, top, p.w - inset, top + high), p.theme.card, 28)
    return top, top + high


def middle_dialog(p: Page) -> None:
    _checkout(p)
    top, foot = _dialog(p, p.h * 0.4, 480, 80)
    _face(p, p.w / 2, top + 100, 66)
    _message(p, top + 186, 420)
    blocks.button(p, (140, foot - 110, p.w - 140, foot - 32), _done(p), "full", 30)


def unavailable_list(p: Page) -> None:
    """The sheet names which goods could not be bought."""
    _checkout(p)
    blocks.sheet(p, p.h * p.rng.uniform(0.34, 0.4), dim=0.6)
    r = p.rng.randint(50, 70)
    _face(p, p.w / 2, p.y + 30 + r, r)
    y = _message(p, p.y + 50 + 2 * r, 580)
    blocks.goods_row(p, p.left + 30, y + 10, p.right - 30, p.goods(), price=False)
    blocks.wide_button(p, _done(p))


def over_product(p: Page) -> None:
    p.paste(p.tile(p.goods(), p.w), 0, 0)
    bars.status_bar(p)
    p.y = p.w
    blocks.goods_grid(p, 2, 2)
    blocks.sheet(p, p.h * p.rng.uniform(0.48, 0.56), dim=0.65)
    _face(p, p.w / 2, p.y + 110, 72)
    _message(p, p.y + 210, 560)
    blocks.wide_button(p, _done(p))


def two_buttons(p: Page) -> None:
    _checkout(p)
    blocks.sheet(p, p.h * p.rng.uniform(0.46, 0.55), dim=0.6)
    _face(p, p.w / 2, p.y + 120, 80)
    _message(p, p.y + 240, 540)
    y = p.h - 170
    blocks.button(p, (p.left + 20, y, p.w / 2 - 12, y + 84), p.word(("再看看",), ("换个商品", "逛逛别的")), "line", 30)
    blocks.button(p, (p.w / 2 + 12, y, p.right - 20, y + 84), _done(p), "full", 30)


TRAIN = (low_sheet, high_sheet, middle_dialog, unavailable_list)
TEST = (over_product, two_buttons)
