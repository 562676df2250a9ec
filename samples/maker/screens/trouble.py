"""物流异常: a tracking page on which something went wrong."""

from samples.maker import bars, blocks, progress
from samples.maker.draw import WHITE, blend
from samples.maker.page import Page
from samples.maker.screens.tracking import ALERT, courier, events, goods_card, timeline_card, town_map


def _trouble(p: Page) -> tuple[str, str]:
    return p.word(
        (
            "物流异常提醒|包裹在运输途中出现停滞,我们已催促承运方尽快处理",
            "派送失败|收件人电话无法接通,包裹将退回站点",
            "包裹破损|快件外包装破损,正在核实,请耐心等待",
            "快件已拒收|包裹正在退回发货地",
        ),
        (
            "运输异常|长时间没有更新,已登记为疑似丢件",
            "配送超时|天气原因导致线路中断,时效无法保证",
            "无法送达|地址有误,请联系网点更正",
            "异常件|面单脱落,等待发件方补单",
        ),
    ).split("|")  # type: ignore[return-value]


def _warning(p: Page) -> None:
    """The banner that sets a page in trouble apart."""
    x, y, right = blocks.card(p, 130, blend(ALERT, WHITE, 0.86))
    p.polygon([(x + 34, y + 30), (x + 68, y + 96), (x, y + 96)], ALERT)
    p.text(x + 34, y + 72, "!", 38, WHITE, bold=True, anchor="mm")
    p.text(x + 92, y + 46, p.word(("温馨提示", "物流异常"), ("异常通知", "注意")), p.size(29), ALERT, bold=True)
    p.text(
        x + 92,
        y + 92,
        p.word(("您的包裹运输出现异常,请留意", "可能无法按时送达"), ("快递疑似滞留,可联系客服", "送货遇到问题")),
        p.size(24),
        ALERT,
        width=right - x - 100,
    )


def _bubble(p: Page, y: float) -> None:
    p.gradient((130, y, p.w - 130, y + 110), ALERT, p.theme.warm, 55, across=True)
    p.text(
        p.w / 2,
        y + 55,
        p.word(("物流异常处理中", "包裹停滞,已催办"), ("运输受阻,核实中", "快件超时未更新")),
        p.size(32),
        WHITE,
        bold=True,
        anchor="mm",
    )
    p.polygon([(p.w / 2 - 18, y + 106), (p.w / 2 + 18, y + 106), (p.w / 2, y + 134)], ALERT)


def trouble_map(p: Page) -> None:
    town_map(p, 0, p.rng.randint(460, 560))
    bars.status_bar(p, (30, 30, 30))
    _bubble(p, 240)
    p.y = 440
    _warning(p)
    timeline_card(p, 3, _trouble(p))
    goods_card(p)
    bars.home_bar(p)


def trouble_list(p: Page) -> None:
    bars.plain_top(p, p.word(("物流详情",), ("快递进度",)))
    _warning(p)
    courier(p)
    timeline_card(p, 5, _trouble(p))
    bars.home_bar(p)


def trouble_sheet(p: Page) -> None:
    town_map(p, 0, 600)
    _bubble(p, 150)
    blocks.sheet(p, p.rng.randint(300, 420), p.word(("详细信息",), ("全部动态",)))
    _warning(p)
    progress.timeline(p, p.left + 30, p.y + 30, p.right - 20, events(p, 5, _trouble(p)), alert=ALERT)


def trouble_goods(p: Page) -> None:
    bars.plain_top(p, p.word(("物流异常", "包裹详情"), ("异常件处理",)))
    _warning(p)
    timeline_card(p, 4, _trouble(p))
    goods_card(p)
    _help_buttons(p)


def _help_buttons(p: Page) -> None:
    y = p.h - 170
    names = (p.word(("联系卖家",), ("问商家",)), p.word(("催促快递", "申请赔付"), ("上报问题", "投递反馈")))
    blocks.button(p, (p.left + 20, y, p.w / 2 - 12, y + 80), names[0], "line")
    blocks.button(p, (p.w / 2 + 12, y, p.right - 20, y + 80), names[1])


def trouble_map_help(p: Page) -> None:
    bars.plain_top(p, p.word(("物流",), ("快递详情",)))
    town_map(p, p.y, 340)
    _bubble(p, p.y - 260)
    _warning(p)
    timeline_card(p, 4, _trouble(p))
    _help_buttons(p)


def trouble_courier(p: Page) -> None:
    bars.plain_top(p, p.word(("物流",), ("运送情况", "派件问题")))
    courier(p)
    _warning(p)
    timeline_card(p, 4, _trouble(p))
    goods_card(p)
    bars.home_bar(p)


TRAIN = (trouble_map, trouble_list, trouble_sheet, trouble_goods)
TEST = (trouble_map_help, trouble_courier)
