"""物流页面-物流列表页面: several parcels under each other, each with its state and buttons."""

from samples.maker import bars, blocks
from samples.maker.page import Page

_BLUE = (40, 120, 245)


def _state(p: Page) -> str:
    return p.word(
        ("运输中", "待取件", "已签收", "派送中", "卖家已发货"), ("在途", "已送到驿站", "已妥投", "送货上门中")
    )


def _line(p: Page) -> str:
    return p.word(
        ("包裹已到达云溪分拨站", f"取件码 {p.digits(1)}-{p.digits(1)}-{p.digits(4)}", "快件由家人签收", "派送员正在为您送货"),
        (f"取货码 A{p.digits(2)}-{p.digits(4)}", "已离开白鹭转运中心", "放在丰收驿站,请尽快取", "今日18点前送达")
    )  # fmt: skip


def _parcel(p: Page, *, side: float = 120, buttons: bool = True) -> None:
    x, y, right = blocks.card(p, side + (180 if buttons else 110))
    p.disc(x + 16, y + 40, 16, p.rng.choice((_BLUE, p.theme.accent)))
    p.private(x + 42, y + 40, f"{p.rng.choice(p.world.couriers)} {p.digits(8)}", p.size(26), p.theme.ink)
    p.text(right, y + 40, _state(p), p.size(26), p.theme.accent, anchor="rm")
    goods = p.goods()
    p.paste(p.tile(goods, side), x, y + 76, 12)
    p.text(x + side + 20, y + 104, _line(p), p.size(27), p.theme.ink, bold=True, width=right - x - side - 30)
    p.text(x + side + 20, y + 150, goods.title, p.size(24), p.theme.faint, width=right - x - side - 30)
    if buttons:
        names = p.words(("查看物流", "延长收货", "确认收货"), ("物流详情", "催一催", "收到了"), p.rng.randint(2, 3))
        blocks.button_row(p, y + side + 96, names, right=right, high=56)


def _fill(p: Page, **how: float | bool) -> None:
    while p.y < p.h - 60:
        _parcel(p, **how)  # type: ignore[arg-type]


def order_tabs(p: Page) -> None:
    bars.status_bar(p)
    bars.search_bar(p, p.word(("搜索我的订单", "搜索包裹"), ("查找快递",)))
    bars.tabs(
        p,
        p.words(("全部", "待付款", "待发货", "待收货", "退款/售后"), ("所有", "未付", "备货", "在途", "完成"), 5),
        3,
    )
    _fill(p)
    bars.home_bar(p)


def blue_head(p: Page) -> None:
    p.gradient((0, 0, p.w, 330), _BLUE, (90, 170, 255))
    bars.status_bar(p, (255, 255, 255))
    bars.title_bar(p, p.word(("我的快递", "包裹"), ("收件箱",)), ink=(255, 255, 255))
    bars.tabs(p, p.words(("收件", "寄件", "待取件"), ("我收的", "我寄的", "站点"), 3), ink=(255, 255, 255))
    _fill(p, buttons=False)
    bars.bottom_nav(p, p.words(("首页", "寄快递", "会员", "我的"), ("主页", "寄件", "福利", "个人"), 4), 0)


def notices(p: Page) -> None:
    bars.plain_top(p, p.word(("交易物流", "物流通知"), ("物流助手",)))
    bars.tabs(p, p.words(("物流", "活动", "互动", "售后"), ("快递", "优惠", "消息", "服务"), 4))
    _fill(p, side=100, buttons=False)
    bars.home_bar(p)


def small_rows(p: Page) -> None:
    bars.plain_top(p, p.word(("待收货", "我的包裹"), ("全部快递",)))
    _fill(p, side=96)
    bars.home_bar(p)


def blue_with_buttons(p: Page) -> None:
    p.gradient((0, 0, p.w, 260), _BLUE, p.theme.page)
    bars.status_bar(p, (255, 255, 255))
    bars.search_bar(p, p.word(("输入单号",), ("输入运单号查询",)), ground=_BLUE)
    _fill(p, side=110)
    bars.bottom_nav(p, p.words(("首页", "我的"), ("查快递", "寄件", "我"), 3), 1)


def tabs_small(p: Page) -> None:
    bars.plain_top(p, p.word(("包裹列表",), ("在路上的包裹", "快递包裹")))
    bars.tabs(p, p.words(("全部", "运输中", "待取件"), ("所有包裹", "路上", "待领取", "已收"), 4), 1)
    _fill(p, side=130, buttons=p.chance(0.5))
    bars.home_bar(p)


TRAIN = (order_tabs, blue_head, notices, small_rows)
TEST = (blue_with_buttons, tabs_small)
