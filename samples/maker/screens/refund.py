"""退款页面: the sum, and by which way the money comes back."""

from samples.maker import bars, blocks, progress
from samples.maker.page import Page
from samples.maker.screens.aftersales import facts, goods_card, head, links


def _refund_title(p: Page) -> str:
    return p.word(("退款详情", "售后详情"), ("仅退款详情", "退款进度"))


def _money_card(p: Page) -> None:
    _x, y, _right = blocks.card(p, 200)
    p.text(
        p.w / 2,
        y + 62,
        p.word(("退款成功", "极速退款 已到账"), ("退款完成", "钱款已退回")),
        p.size(34),
        p.theme.ink,
        bold=True,
        anchor="mm",
    )
    p.text(p.w / 2, y + 140, f"¥{p.money()}", p.size(64), p.theme.accent, bold=True, anchor="mm")


def _money_line(p: Page) -> None:
    x, y, right = blocks.card(p, 130)
    p.text(
        x,
        y + 66,
        p.word(("退款总金额", "退款成功"), ("共退款", "退款合计")),
        p.size(30),
        p.theme.ink,
        bold=True,
    )
    p.text(right, y + 66, f"¥{p.money()}", p.size(44), p.theme.accent, bold=True, anchor="rm")


def _money_way(p: Page) -> None:
    x, y, _right = blocks.card(p, 210)
    p.text(x, y + 40, p.word(("钱款去向",), ("退款去向", "资金流向")), p.size(28), p.theme.ink, bold=True)
    progress.stepper(p, y + 80, p.word(("卖家退款 银行受理 退款到账",), ("商家同意 渠道处理 入账成功",)).split(), 2)


def _refund_facts(p: Page) -> None:
    names = p.word(("退款原因 退款金额 申请时间 退款编号",), ("退款理由 退回金额 发起时间 售后单号",)).split()
    values = (
        p.word(("多拍/不想要", "商品与描述不符"), ("拍错款式", "发货太慢")),
        f"¥{p.money()}",
        p.date(),
        p.digits(16),
    )
    facts(p, list(zip(names, values, strict=True)))


def refund_center(p: Page) -> None:
    head(p, _refund_title(p), ground=False)
    for part in (_money_card, _money_way):
        part(p)
    goods_card(p, p.word(("退款信息",), ("退款商品",)))
    _refund_facts(p)
    links(p)
    bars.home_bar(p)


def refund_line(p: Page) -> None:
    head(p, _refund_title(p), ground=p.chance(0.2))
    parts = [p.rng.choice((_money_line, _money_card)), _money_way]
    p.rng.shuffle(parts)
    for part in parts:
        part(p)
    goods_card(p, p.word(("退款信息",), ("退款商品",)))
    _refund_facts(p)
    links(p)
    bars.home_bar(p)


def refund_sheet(p: Page) -> None:
    refund_line(p)
    blocks.sheet(p, p.h * p.rng.uniform(0.5, 0.6), p.word(("钱款去向详情",), ("退款去向",)))
    _money_line(p)
    facts(
        p,
        [
            (p.word(("恢复信用额度", "退回储蓄卡"), ("退至贝壳钱包",)), f"¥{p.money()}"),
            (p.word(("到账时间",), ("入账日期",)), p.date()),
        ],
    )
    blocks.wide_button(p, p.word(("我知道了",), ("好的",)), "grey")


def refund_apply(p: Page) -> None:
    head(p, p.word(("申请退款",), ("发起退款",)), ground=False)
    goods_card(p, p.word(("退款商品",), ("退款宝贝",)))
    _money_line(p)
    _refund_facts(p)
    _money_way(p)
    blocks.wide_button(p, p.word(("提交", "提交申请"), ("确认退款",)))


def refund_way_first(p: Page) -> None:
    head(p, _refund_title(p), ground=False)
    _money_way(p)
    _money_card(p)
    goods_card(p, p.word(("退款信息",), ("售后商品", "退款商品")))
    _refund_facts(p)
    bars.home_bar(p)


def refund_short(p: Page) -> None:
    head(p, _refund_title(p), ground=False)
    _money_line(p)
    goods_card(p, p.word(("退款信息",), ("退款宝贝",)))
    _money_way(p)
    links(p)
    _refund_facts(p)
    bars.home_bar(p)


TRAIN = (refund_center, refund_line, refund_sheet, refund_apply)
TEST = (refund_way_first, refund_short)
