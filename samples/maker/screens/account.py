"""账单/账户页面: one bill with its sum, a list of bills, or a balance."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE, Color, blend
from samples.maker.page import Page

_LOGOS: tuple[Color, ...] = ((40, 120, 240), (220, 60, 50), (240, 140, 40), (40, 160, 110), (120, 90, 200))


def _logo(p: Page, x: float, y: float, r: float) -> None:
    p.disc(x, y, r, p.rng.choice(_LOGOS))
    p.text(x, y, p.rng.choice(p.world.shops)[0], r * 0.95, WHITE, bold=True, anchor="mm")


def _signed(p: Page) -> str:
    return f"{p.rng.choice(('-', '-', '+'))}{p.money(1, 3000)}"


def _sum(p: Page) -> None:
    _logo(p, p.w / 2, p.y + 70, 46)
    p.private(p.w / 2, p.y + 146, p.rng.choice(p.world.shops), p.size(29), p.theme.ink, anchor="mm")
    p.text(p.w / 2, p.y + 218, _signed(p), p.size(66), p.theme.ink, bold=True, anchor="mm")
    p.text(
        p.w / 2,
        p.y + 280,
        p.word(("交易成功", "退款成功", "等待确认收货"), ("支付完成", "已全额退款", "处理中")),
        p.size(27),
        p.theme.faint,
        anchor="mm",
    )
    p.y += 310


def _facts(p: Page) -> None:
    names = p.word(
        ("支付时间 付款方式 商品说明 收单机构 订单号 商家订单号",),
        ("交易时间 支付渠道 商品描述 收款方全称 流水号 凭证号",),
    ).split()
    values = [
        p.date(),
        p.word(("云币余额", "月付"), ("贝壳钱包",)),
        p.goods().title,
        "",
        p.digits(20),
        p.digits(16),
    ]
    x, y, right = blocks.card(p, 60 * len(names) + 30)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        line = y + 44 + i * 60
        p.text(x, line, name, p.size(25), p.theme.faint)
        if i >= 4:
            p.private(x + 190, line, value, p.size(25), p.theme.ink)
        else:
            p.text(
                x + 190,
                line,
                value or p.rng.choice(p.world.shops),
                p.size(25),
                p.theme.ink,
                width=right - x - 190,
            )


def _manage(p: Page, count: int) -> None:
    x, y, right = blocks.card(p, 72 * count + 70)
    p.text(x, y + 42, p.word(("账单管理",), ("账单服务",)), p.size(28), p.theme.ink, bold=True)
    names = p.words(
        ("账单分类", "标签和备注", "计入收支", "联系商家", "查看往来记录"),
        ("分类", "添加备注", "不计入统计", "有疑问", "电子回单"),
        count,
    )
    blocks.pairs(p, x, y + 66, right, [(name, "›") for name in names], gap=72)


def _bill_rows(p: Page, count: int) -> None:
    x, y, right = blocks.card(p, 116 * count + 20)
    for i in range(count):
        mid = y + 68 + i * 116
        _logo(p, x + 36, mid, 34)
        p.private(x + 92, mid - 20, p.rng.choice(p.world.shops), p.size(28), p.theme.ink)
        p.text(x + 92, mid + 22, p.date()[5:], p.size(23), p.theme.faint)
        p.text(right, mid - 8, _signed(p), p.size(31), p.theme.ink, bold=True, anchor="rm")


def detail(p: Page) -> None:
    bars.plain_top(p, p.word(("账单详情",), ("交易详情",)))
    _sum(p)
    _facts(p)
    _manage(p, 3)
    bars.home_bar(p)


def detail_card(p: Page) -> None:
    bars.plain_top(p, p.word(("账单详情", "账户明细"), ("收支详情",)))
    _sum(p)
    _manage(p, 2)
    _facts(p)
    bars.home_bar(p)


def month(p: Page) -> None:
    bars.plain_top(p, p.word(("账单", "我的账单"), ("收支记录",)))
    x, y = p.left + 8.0, p.y + 12
    for i, name in enumerate(p.words(("全部", "支出", "转账", "退款", "订单"), ("所有", "收入", "消费", "还款"), 4)):
        x = blocks.chip(p, x, y, name, on=i == 0)
    p.text(p.left + 12, p.y + 120, f"{p.rng.randint(1, 12)}月", p.size(40), p.theme.ink, bold=True)
    p.text(
        p.left + 12,
        p.y + 168,
        f"{p.word(('支出',), ('花费',))} ¥{p.money(100, 9000)}  {p.word(('收入',), ('进账',))} ¥{p.money(1, 900)}",
        p.size(25),
        p.theme.faint,
    )
    p.y += 190
    _bill_rows(p, 9)
    bars.home_bar(p)


def balance(p: Page) -> None:
    ground = p.rng.choice(_LOGOS)
    bars.band_top(p, p.word(("我的账户", "余额"), ("钱包",)), 430, first=ground, last=blend(ground, WHITE, 0.25))
    p.text(
        p.w / 2,
        p.y + 40,
        p.word(("账户余额(元)", "总积分"), ("可用余额", "总资产")),
        p.size(27),
        WHITE,
        anchor="mm",
    )
    p.text(p.w / 2, p.y + 118, p.money(0, 9000), p.size(76), WHITE, bold=True, anchor="mm")
    p.y += 200
    _bill_rows(p, 6)
    _manage(p, 3)
    bars.home_bar(p)


def detail_progress(p: Page) -> None:
    bars.plain_top(p, p.word(("账单详情",), ("交易明细", "账目详情")))
    _sum(p)
    _facts(p)
    _bill_rows(p, 2)
    _manage(p, 2)


def balance_list(p: Page) -> None:
    bars.plain_top(p, p.word(("余额",), ("余额明细", "零钱记录")))
    _sum(p)
    _bill_rows(p, 8)
    bars.home_bar(p)


TRAIN = (detail, detail_card, month, balance)
TEST = (detail_progress, balance_list)
