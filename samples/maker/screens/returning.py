"""退货页面: what to do with the goods, step by step, and where to send them."""

from samples.maker import bars, blocks, progress
from samples.maker.draw import WHITE, Color
from samples.maker.page import Page
from samples.maker.screens.aftersales import goods_card, head, links

_BLUE: Color = (40, 120, 245)


def _return_title(p: Page) -> str:
    return p.word(("退货退款详情", "退货详情"), ("退货进度", "寄回商品"))


def _return_steps(p: Page, count: int) -> None:
    items = p.words(
        ("请寄回商品|卖家已同意退货,请在规定时间内把商品寄到指定地址", "等待快递员上门|取件员将在约定时间联系您,请备好包裹",
         "卖家待签收|商家收到退回的货物后会尽快退款", "退货申请通过|请勿使用平邮或到付"),
        ("待寄出|三天之内没有寄件将自动撤销", "取件预约成功|师傅会提前半小时打电话", "货物返程中|仓库收货核对后打款", "审核已通过|寄回时附上赠品和发票"), count,
    )  # fmt: skip
    progress.timeline_card(p, [tuple(item.split("|")) for item in items])  # type: ignore[misc]


def _send_back(p: Page) -> None:
    """How to send it: collected at the door, or by oneself."""
    x, y, right = blocks.card(p, 330)
    half = (right - x) / 2
    for i, name in enumerate((p.word(("上门取件",), ("预约取件",)), p.word(("自行寄回", "服务点自寄"), ("自己寄",)))):
        box = (x + i * half + 6, y + 24, x + (i + 1) * half - 6, y + 92)
        p.box(box, _BLUE if i == 0 else p.theme.page, 34)
        p.text(
            (box[0] + box[2]) / 2,
            y + 58,
            name,
            p.size(28),
            WHITE if i == 0 else p.theme.ink,
            bold=True,
            anchor="mm",
        )
    for i, name in enumerate((p.word(("寄",), ("发",)), p.word(("收",), ("到",)))):
        mid = y + 146 + i * 84
        p.disc(x + 26, mid, 24, _BLUE if i == 0 else p.theme.accent)
        p.text(x + 26, mid, name, 25, WHITE, anchor="mm")
        p.private(x + 70, mid - 14, f"{p.rng.choice(p.world.buyers)} {p.world.towns[i]}", p.size(26), p.theme.ink)
        p.private(x + 70, mid + 24, p.rng.choice(p.world.streets), p.size(23), p.theme.faint)


def _return_services(p: Page) -> None:
    x, y, right = blocks.card(p, 190)
    p.text(x, y + 40, p.word(("我的服务",), ("退换保障",)), p.size(28), p.theme.ink, bold=True)
    rows = [(p.word(("7天无理由退换",), ("无忧退货",)), p.word(("5月31日前可享", "污渍不支持"), ("本月底失效",))),
            (p.word(("退货运费险",), ("退运费",)), p.word(("退款后自动理赔",), ("签收后赔付12元",)))]  # fmt: skip
    blocks.pairs(p, x, y + 64, right, rows, gap=56)


def return_steps(p: Page) -> None:
    head(p, _return_title(p), ground=False)
    _return_steps(p, 3)
    _send_back(p)
    _return_services(p)
    goods_card(p, p.word(("退货信息",), ("退货商品",)))
    bars.home_bar(p)


def return_pickup(p: Page) -> None:
    head(p, p.word(("我要寄件", "选择退货方式"), ("退货寄件",)), ground=p.chance(0.5))
    _send_back(p)
    goods_card(p, p.word(("寄件商品",), ("退货商品",)))
    _return_services(p)
    _return_steps(p, 2)
    blocks.wide_button(p, p.word(("立即下单", "预约取件"), ("确认预约",)))


def return_services(p: Page) -> None:
    head(p, _return_title(p), ground=False)
    _return_steps(p, 2)
    _return_services(p)
    _send_back(p)
    goods_card(p, p.word(("退款信息",), ("退货商品",)))
    _return_foot(p)


def _return_foot(p: Page) -> None:
    mid = bars.bottom_ground(p, 100)
    blocks.button_row(
        p, mid - 30, p.words(("平台介入", "撤销申请", "填写单号"), ("取消退货", "录入运单", "修改方式"), 2)
    )


def return_goods_first(p: Page) -> None:
    head(p, _return_title(p), ground=False)
    goods_card(p, p.word(("退货宝贝",), ("退回物品",)))
    _return_steps(p, 2)
    _send_back(p)
    _return_services(p)
    _return_foot(p)


def return_address(p: Page) -> None:
    head(p, _return_title(p), ground=p.chance(0.3))
    _return_steps(p, 2)
    _send_back(p)
    goods_card(p, p.word(("退货信息",), ("退回物品", "退货商品")))
    _return_services(p)
    _return_foot(p)


def return_long(p: Page) -> None:
    head(p, _return_title(p), ground=False)
    _return_steps(p, 4)
    _send_back(p)
    _return_services(p)
    links(p)
    bars.home_bar(p)


TRAIN = (return_steps, return_pickup, return_services, return_goods_first)
TEST = (return_address, return_long)
