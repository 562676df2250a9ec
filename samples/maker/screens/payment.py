"""支付页面: the cashier, the result of a payment, and what a fee is made of."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE
from samples.maker.page import Page

_BLUE = (30, 110, 240)


def _paid(p: Page) -> str:
    return p.word(("已付", "已付运费", "支付成功"), ("付款成功", "已支付"))


def _methods(p: Page, count: int) -> None:
    """Ways to pay with a round choice at the right."""
    names = p.words(
        ("云币余额", "储蓄卡(尾号4821)", "月付分期", "零钱宝", "亲友代付"),
        ("贝壳钱包", "信用卡(尾号0937)", "先用后付", "礼品卡", "添加新卡"),
        count,
    )
    x, y, right = blocks.card(p, 92 * count + 10)
    for i, name in enumerate(names):
        mid = y + 50 + i * 92
        p.box((x, mid - 24, x + 48, mid + 24), p.any_color(40, 230), 12)
        p.text(x + 70, mid, name, p.size(28), p.theme.ink)
        p.disc(right - 20, mid, 19, _BLUE if i == 0 else None, None if i == 0 else p.theme.faint)
        if i == 0:
            p.line([(right - 29, mid), (right - 22, mid + 7), (right - 11, mid - 8)], WHITE, 4)


def _sum(p: Page, y: float) -> None:
    p.text(p.w / 2, y, f"¥{p.money(5, 2000)}", p.size(72), p.theme.ink, bold=True, anchor="mm")


def cashier(p: Page) -> None:
    bars.plain_top(p, p.word(("收银台", "支付订单"), ("付款台",)))
    _sum(p, p.y + 110)
    p.text(
        p.w / 2,
        p.y + 180,
        p.word(("支付剩余时间 00:14:32", "请在半小时内付款"), ("订单将在十分钟后取消",)),
        p.size(25),
        p.theme.faint,
        anchor="mm",
    )
    p.y += 220
    _methods(p, p.rng.randint(4, 5))
    _blue_button(p, p.word(("确认付款", "立即支付"), ("去支付", "确认支付")))
    bars.home_bar(p)


def _blue_button(p: Page, words: str) -> None:
    y = p.h - 180
    p.box((p.left + 20, y, p.right - 20, y + 88), _BLUE, p.rng.choice((12, 44)))
    p.text(p.w / 2, y + 44, words, 32, WHITE, bold=True, anchor="mm")


def fee_list(p: Page) -> None:
    bars.plain_top(p, p.word(("费用明细", "运费明细"), ("价格明细",)))
    _route(p)
    _fees(p, 7)
    _rating(p)
    bars.home_bar(p)


def _route(p: Page) -> None:
    x, y, right = blocks.card(p, 190)
    for i, end in enumerate((x + 90, right - 90)):
        p.text(end, y + 60, p.world.towns[i], p.size(32), p.theme.ink, bold=True, anchor="mm")
        p.private(end - 70, y + 120, p.rng.choice(p.world.buyers), p.size(25), p.theme.faint)
    p.line([(x + 210, y + 60), (right - 210, y + 60)], _BLUE, 4)
    p.polygon([(right - 210, y + 60), (right - 230, y + 48), (right - 230, y + 72)], _BLUE)


def _fees(p: Page, count: int) -> None:
    names = p.words(
        ("基础运费", "续重费用", "保价费", "包装费", "上门取件费", "优惠券抵扣", "会员减免"),
        ("首重费", "超重费", "保险费", "夜间配送费", "材料费", "立减", "活动补贴"), count,
    )  # fmt: skip
    x, y, right = blocks.card(p, 130 + 62 * count)
    p.text(x, y + 56, p.word(("费用合计", "合计"), ("总费用",)), p.size(32), p.theme.ink, bold=True)
    p.text(right, y + 56, f"¥{p.money(8, 90)}", p.size(44), p.theme.accent, bold=True, anchor="rm")
    p.line([(x, y + 104), (right, y + 104)], p.theme.rule, 2)
    blocks.pairs(p, x, y + 112, right, [(name, f"¥{p.money(0, 20)}") for name in names], gap=62)


def _rating(p: Page) -> None:
    _x, y, _right = blocks.card(p, 220)
    p.text(
        p.w / 2,
        y + 50,
        p.word(("本次计费是否清晰?",), ("您对收费满意吗?",)),
        p.size(28),
        p.theme.ink,
        anchor="mm",
    )
    for i, words in enumerate((p.word(("不清晰",), ("不满意",)), p.word(("很清晰",), ("满意",)))):
        cx = p.w / 2 - 150 + i * 300
        p.box((cx - 120, y + 100, cx + 120, y + 180), p.theme.page, 40)
        p.disc(cx - 70, y + 140, 24, (255, 190, 50))
        p.text(cx - 30, y + 140, words, 27, p.theme.ink)


def success(p: Page) -> None:
    bars.plain_top(p, _paid(p))
    p.disc(p.w / 2, p.y + 120, 64, _BLUE)
    p.line([(p.w / 2 - 28, p.y + 120), (p.w / 2 - 6, p.y + 144), (p.w / 2 + 32, p.y + 98)], WHITE, 9)
    p.text(p.w / 2, p.y + 230, _paid(p), p.size(36), _BLUE, bold=True, anchor="mm")
    _sum(p, p.y + 320)
    p.y += 380
    x, y, right = blocks.card(p, 270)
    blocks.pairs(p, x, y + 20, right, _receipt(p), gap=76)
    _blue_button(p, p.word(("完成", "查看订单"), ("返回商家",)))
    bars.home_bar(p)


def _receipt(p: Page) -> list[tuple[str, str]]:
    names = p.word(("收款方 付款方式 支付时间",), ("商户 扣款账户 交易时间",)).split()
    return list(zip(names, (p.rng.choice(p.world.shops), p.word(("储蓄卡",), ("贝壳钱包",)), p.date()), strict=True))


def prepaid_parcel(p: Page) -> None:
    """A parcel order with what was paid on it: the house rule counts it as a payment page."""
    bars.plain_top(p, p.word(("寄件详情", "订单详情"), ("运单详情",)))
    p.box((0, p.y, p.w, p.y + 260), (222, 236, 255))
    p.text(
        p.left + 24,
        p.y + 60,
        p.word(("即将开始运输", "已揽收"), ("网点已接单",)),
        p.size(38),
        p.theme.ink,
        bold=True,
    )
    p.text(p.left + 24, p.y + 116, f"{p.rng.choice(p.world.couriers)} {p.digits(10)}", p.size(25), p.theme.faint)
    p.y += 140
    _route(p)
    _service_icons(p)
    x, y, right = blocks.card(p, 120)
    p.text(x, y + 60, f"{_paid(p)} {p.money(5, 80)}元", p.size(34), p.theme.ink, bold=True)
    p.text(right, y + 60, p.word(("费用明细", "运费明细"), ("价格明细",)), p.size(26), _BLUE, anchor="rm")
    _fees(p, 4)
    bars.home_bar(p)


def _service_icons(p: Page) -> None:
    x, y, right = blocks.card(p, 150)
    for i, name in enumerate(
        p.words(("联系站点", "修改信息", "投保", "打印面单"), ("拨打电话", "取消寄件", "催取件", "分享"), 4)
    ):
        cx = x + 70 + i * (right - x - 140) / 3
        bars.icon(p, cx, y + 54, 24, _BLUE, i + 1)
        p.text(cx, y + 112, name, 24, p.theme.ink, anchor="mm")


def pay_sheet(p: Page) -> None:
    """The cashier as a sheet over an order."""
    bars.plain_top(p, p.word(("确认订单",), ("订单确认",)))
    blocks.goods_grid(p, 2, 2)
    blocks.sheet(p, p.h * p.rng.uniform(0.3, 0.4), p.word(("确认付款",), ("请支付", "付款详情")))
    _sum(p, p.y + 60)
    p.y += 120
    _methods(p, 4)
    _blue_button(p, p.word(("立即付款",), ("马上支付", "指纹支付")))


def paid_fees(p: Page) -> None:
    bars.plain_top(p, _paid(p))
    _sum(p, p.y + 90)
    p.y += 150
    _route(p)
    _fees(p, 5)
    x, y, right = blocks.card(p, 250)
    blocks.pairs(p, x, y + 12, right, _receipt(p), gap=72)
    _blue_button(p, p.word(("完成",), ("我知道了", "查看账单")))


def parcel_fees(p: Page) -> None:
    bars.plain_top(p, p.word(("寄件",), ("寄件订单", "费用确认")))
    _route(p)
    _fees(p, 6)
    _service_icons(p)
    x, y, _right = blocks.card(p, 120)
    p.text(x, y + 60, f"{_paid(p)} {p.money(5, 80)}元", p.size(34), p.theme.ink, bold=True)
    _blue_button(p, p.word(("支付",), ("付款明细", "去支付")))


def cashier_goods(p: Page) -> None:
    bars.plain_top(p, p.word(("支付",), ("收款台", "付款确认")))
    _sum(p, p.y + 90)
    p.y += 150
    x, y, right = blocks.card(p, 200)
    blocks.goods_row(p, x, y + 24, right, p.goods(), price=False)
    _methods(p, 5)
    _blue_button(p, p.word(("支付",), ("马上付款", "去支付")))
    bars.home_bar(p)


TRAIN = (cashier, fee_list, success, prepaid_parcel, pay_sheet)
TEST = (paid_fees, parcel_fees, cashier_goods)
