"""订单详情页面: the state of an order, its address, its goods, what was paid, its number and dates."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE
from samples.maker.page import Page


def _state(p: Page) -> str:
    return p.word(
        ("卖家已发货", "交易成功", "买家已付款", "等待卖家发货"),
        ("待收货", "订单已完成", "已付款,备货中", "交易关闭"),
    )


def _hint(p: Page) -> str:
    return p.word(
        ("还剩6天12时自动确认", "48小时内发货", "感谢您的购买"),
        ("预计周五前送达", "欢迎再次光临", "将于7天后自动收货"),
    )


def _address(p: Page) -> None:
    x, y, _right = blocks.card(p, 150)
    p.disc(x + 20, y + 70, 20, p.theme.accent)
    p.disc(x + 20, y + 70, 7, WHITE)
    p.private(
        x + 60,
        y + 50,
        f"{p.rng.choice(p.world.buyers)}  1{p.digits(2)}****{p.digits(4)}",
        p.size(29),
        p.theme.ink,
    )
    p.private(
        x + 60,
        y + 100,
        f"{p.rng.choice(p.world.towns)}{p.rng.choice(p.world.streets)}",
        p.size(25),
        p.theme.faint,
    )


def _parcel(p: Page) -> None:
    x, y, right = blocks.card(p, 150, p.theme.tint(0.88))
    p.text(
        x,
        y + 46,
        p.word(("已发货 包裹正在等待揽收", "运输中 已到达分拨站", "已签收"), ("派件员正在送货", "快件离开转运场")),
        p.size(27),
        p.theme.accent,
        bold=True,
    )
    p.private(x, y + 98, f"{p.rng.choice(p.world.couriers)} {p.digits(12)}", p.size(24), p.theme.faint)
    p.text(right, y + 46, p.date()[5:], 22, p.theme.faint, anchor="rm")


def _goods(p: Page, count: int) -> None:
    x, y, right = blocks.card(p, 100 + count * 178 + 80)
    p.disc(x + 16, y + 44, 16, p.theme.accent)
    p.private(x + 44, y + 44, p.rng.choice(p.world.shops), p.size(28), p.theme.ink)
    for i in range(count):
        blocks.goods_row(p, x, y + 80 + i * 178, right, p.goods())
    names = p.words(("加入购物车", "申请售后", "退款"), ("再来一件", "售后", "去评价"), 2)
    blocks.button_row(p, y + 88 + count * 178, names, right=right)


def _sums(p: Page) -> None:
    x, y, right = blocks.card(p, 4 * 54 + 30)
    rows = [(p.word(("商品总价",), ("商品金额",)), f"¥{p.money()}"), (p.word(("运费",), ("配送费",)), "¥0.00"),
            (p.word(("店铺优惠", "红包抵扣"), ("满减优惠",)), f"-¥{p.money(1, 30)}"), (p.word(("实付款",), ("实际支付",
             "实付金额")), f"¥{p.money()}")]  # fmt: skip
    blocks.pairs(p, x, y + 12, right, rows)


def _numbers(p: Page) -> None:
    names = p.word(
        ("订单编号 交易号 创建时间 付款时间 发货时间",), ("订单号 流水号 下单时间 支付时间 出库时间",)
    ).split()
    x, y, right = blocks.card(p, 5 * 52 + 70)
    p.text(x, y + 36, p.word(("订单信息",), ("订单资料", "更多信息")), p.size(28), p.theme.ink, bold=True)
    values = [p.digits(19), p.digits(16), *(p.date() for _ in range(3))]
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        line = y + 90 + i * 52
        p.text(x, line, name, p.size(25), p.theme.faint)
        if i < 2:
            p.private(x + 170, line, value, p.size(25), p.theme.ink)
        else:
            p.text(x + 170, line, value, p.size(25), p.theme.ink)
    p.text(right, y + 90, p.word(("复制",), ("拷贝",)), p.size(24), p.theme.accent, anchor="rm")


def _foot(p: Page) -> None:
    mid = bars.bottom_ground(p, 104)
    p.text(p.left + 20, mid, p.word(("更多",), ("其他",)), 26, p.theme.faint)
    names = p.words(("查看物流", "延长收货", "确认收货", "催发货"), ("看物流", "晒单", "再次购买", "开发票"), 3)
    blocks.button_row(p, mid - 30, names)
    bars.home_bar(p)


def _white_head(p: Page) -> None:
    bars.status_bar(p)
    bars.title_bar(p, _state(p))
    p.text(p.w / 2, p.y + 10, _hint(p), p.size(24), p.theme.faint, anchor="mm")
    p.y += 28


def _band_head(p: Page) -> None:
    bars.band_top(p, "", 300)
    p.text(p.left + 24, p.y + 20, _state(p), p.size(40), WHITE, bold=True)
    p.text(p.left + 24, p.y + 72, _hint(p), p.size(24), WHITE)
    p.y += 100


def plain(p: Page) -> None:
    _white_head(p)
    for part in (_parcel, _address):
        part(p)
    _goods(p, 1)
    _sums(p)
    _numbers(p)
    _foot(p)


def numbers_first(p: Page) -> None:
    _white_head(p)
    _parcel(p)
    _address(p)
    _goods(p, 1)
    _numbers(p)
    _sums(p)
    _foot(p)


def banded(p: Page) -> None:
    _band_head(p)
    _parcel(p)
    _address(p)
    _goods(p, 1)
    _sums(p)
    _numbers(p)
    _foot(p)


def two_goods(p: Page) -> None:
    _white_head(p)
    _parcel(p)
    _goods(p, 2)
    _sums(p)
    _numbers(p)
    _foot(p)


def with_more(p: Page) -> None:
    _white_head(p)
    _parcel(p)
    _goods(p, 1)
    _sums(p)
    _numbers(p)
    blocks.goods_grid(p, 2, 1)
    _foot(p)


def parcel_between(p: Page) -> None:
    (_band_head if p.chance(0.3) else _white_head)(p)
    _address(p)
    _parcel(p)
    _goods(p, 1)
    _numbers(p)
    _sums(p)
    _foot(p)


TRAIN = (plain, numbers_first, banded, two_goods)
TEST = (with_more, parcel_between)
