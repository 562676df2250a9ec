"""换货页面: the old thing, the new one, and what else the shopper may like."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE
from samples.maker.page import Page
from samples.maker.screens.aftersales import facts, head, links


def _exchange_title(p: Page) -> str:
    return p.word(("换货详情", "换货进度"), ("换新详情", "更换商品"))


def _exchange_state(p: Page) -> None:
    x, y, _right = blocks.card(p, 150)
    p.text(
        x,
        y + 50,
        p.word(
            ("换货成功", "待卖家确认收货并发货", "卖家拒绝换货,请及时处理", "换货关闭"),
            ("新品已寄出", "换货完成", "商家处理换货中"),
        ),
        p.size(31),
        p.theme.accent,
        bold=True,
    )
    p.text(
        x,
        y + 102,
        p.word(("如未处理,申请将自动撤销", "由于超时未寄回,系统关闭"), ("请留意新包裹", "感谢您的耐心等待")),
        p.size(24),
        p.theme.faint,
    )


def _swap(p: Page) -> None:
    """Old above new, with arrows between."""
    x, y, right = blocks.card(p, 470)
    p.text(x, y + 40, p.word(("换货信息",), ("更换明细", "换货商品")), p.size(29), p.theme.ink, bold=True)
    blocks.goods_row(p, x, y + 76, right, p.goods(), price=False)
    p.disc(p.w / 2, y + 256, 26, p.theme.accent)
    p.polygon([(p.w / 2 - 12, y + 252), (p.w / 2 + 12, y + 252), (p.w / 2, y + 272)], WHITE)
    p.box((x - 8, y + 286, right + 8, y + 456), p.theme.tint(0.92), 14)
    blocks.goods_row(p, x, y + 296, right, p.goods(), price=False)
    p.text(
        right,
        y + 430,
        p.word(("新商品", "换成"), ("更换为", "换新款")),
        p.size(25),
        p.theme.accent,
        anchor="rm",
    )


def _exchange_facts(p: Page, count: int) -> None:
    names = p.word(("换货原因 换货数量 申请时间 换货编号",), ("更换理由 件数 发起日期 服务单号",)).split()
    values = (p.word(("尺码拍错", "颜色不喜欢"), ("质量瑕疵", "款式发错")), "1", p.date(), p.digits(14))
    facts(p, list(zip(names, values, strict=True))[:count])


def _more(p: Page) -> None:
    x, y = p.left + 8, p.y + 46
    p.text(
        x,
        y,
        p.word(("宝贝不满意?看看这些", "更多好物"), ("也许您还想要", "换个心情逛逛")),
        p.size(29),
        p.theme.ink,
        bold=True,
    )
    p.y += 66
    blocks.goods_grid(p, 3, 1)


def exchange_plain(p: Page) -> None:
    head(p, _exchange_title(p), ground=False)
    for part in (_exchange_state, _swap):
        part(p)
    _exchange_facts(p, 4)
    links(p)
    _more(p)


def exchange_band(p: Page) -> None:
    head(p, _exchange_title(p), ground=True)
    for part in (_exchange_state, _swap, links, _more):
        part(p)


def exchange_swap_first(p: Page) -> None:
    head(p, _exchange_title(p), ground=False)
    _swap(p)
    _exchange_state(p)
    _exchange_facts(p, 3)
    _more(p)
    _exchange_foot(p)


def _exchange_foot(p: Page) -> None:
    mid = bars.bottom_ground(p, 100)
    blocks.button_row(p, mid - 30, p.words(("撤销换货", "修改申请", "查看物流"), ("取消换货", "催商家", "填写物流"), 2))


def exchange_services(p: Page) -> None:
    head(p, _exchange_title(p), ground=p.chance(0.4))
    _exchange_state(p)
    facts(p, [(p.word(("退换货运费险",), ("换货包运费",)), p.word(("已生效",), ("由商家承担",)))])
    _swap(p)
    _exchange_facts(p, 2)
    _more(p)
    _exchange_foot(p)


def exchange_links(p: Page) -> None:
    head(p, _exchange_title(p), ground=p.chance(0.4))
    _exchange_state(p)
    _swap(p)
    _more(p)
    links(p)
    _exchange_foot(p)


def exchange_long(p: Page) -> None:
    head(p, _exchange_title(p), ground=False)
    _exchange_state(p)
    _swap(p)
    links(p)
    _exchange_facts(p, 3)
    _more(p)
    bars.home_bar(p)


TRAIN = (exchange_plain, exchange_band, exchange_swap_first, exchange_services)
TEST = (exchange_links, exchange_long)
