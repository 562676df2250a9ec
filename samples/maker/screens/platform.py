"""平台介入页面: the platform as judge between shopper and shop."""

from samples.maker import bars, blocks, progress
from samples.maker.draw import BLACK, WHITE, Color, blend
from samples.maker.page import Page
from samples.maker.screens.aftersales import goods_card, links


def _evidence(p: Page) -> None:
    x, y, _right = blocks.card(p, 240)
    p.text(
        x,
        y + 40,
        p.word(("我提供的凭证", "协商凭证"), ("举证材料", "上传的证据")),
        p.size(28),
        p.theme.ink,
        bold=True,
    )
    for i in range(p.rng.randint(2, 4)):
        p.paste(p.tile(p.goods(), 144), x + i * 158, y + 76, 10)


def _shield(p: Page, x: float, y: float, r: float, ink: Color) -> None:
    p.polygon(
        [
            (x, y - r),
            (x + r * 0.8, y - r * 0.6),
            (x + r * 0.7, y + r * 0.3),
            (x, y + r),
            (x - r * 0.7, y + r * 0.3),
            (x - r * 0.8, y - r * 0.6),
        ],
        ink,
    )
    p.line(
        [(x - r * 0.35, y), (x - r * 0.05, y + r * 0.3), (x + r * 0.4, y - r * 0.3)],
        WHITE if ink != WHITE else BLACK,
        5,
    )


def _platform_events(p: Page, count: int) -> list[tuple[str, str]]:
    items = p.words(
        ("平台客服已处理|经核实您的问题属实,款项将原路退回", "平台客服跟进处理|请耐心等待,预计24小时内给出结果", "小二已介入|双方可以在此补充凭证",
         "卖家超时未处理|系统已自动提醒商家", "您发起了平台介入|等待客服受理"),
        ("客服判定完成|根据双方材料,支持买家诉求", "小二核实中|三个工作日内给出结论", "商家已举证|请查看对方材料", "介入申请已受理|专员会尽快联系您",
         "等待双方举证|逾期视为放弃"), count,
    )  # fmt: skip
    return [tuple(item.split("|")) for item in items]  # type: ignore[misc]


def _platform_title(p: Page) -> str:
    return p.word(("平台介入详情", "客服介入详情", "进度详情"), ("小二介入", "平台处理详情", "介入进度"))


def _platform_banner(p: Page) -> None:
    bars.band_top(p, _platform_title(p), p.rng.randint(380, 480))
    _shield(p, p.w - 120, p.y + 70, 64, blend(p.theme.warm, WHITE, 0.4))
    p.text(
        p.left + 24,
        p.y + 40,
        p.word(("平台客服已处理", "平台处理中", "客服小二介入中"), ("小二处理完成", "平台已受理", "官方核实中")),
        p.size(42),
        WHITE,
        bold=True,
    )
    p.text(
        p.left + 24,
        p.y + 98,
        p.word(("服务保障进行中", "会为您公正裁决"), ("公平公正 请您放心",)),
        p.size(25),
        WHITE,
    )
    p.y += 140


def _events_card(p: Page, count: int) -> None:
    progress.timeline_card(p, _platform_events(p, count))


def platform_progress(p: Page) -> None:
    _platform_banner(p)
    _events_card(p, 4)
    _evidence(p)
    goods_card(p, p.word(("退款信息",), ("涉及商品",)))
    bars.home_bar(p)


def platform_goods(p: Page) -> None:
    _platform_banner(p)
    goods_card(p, p.word(("缺发货", "包裹信息"), ("纠纷订单",)))
    _events_card(p, 3)
    _evidence(p)
    bars.home_bar(p)


def platform_evidence(p: Page) -> None:
    _platform_banner(p)
    _evidence(p)
    _events_card(p, 4)
    links(p)
    bars.home_bar(p)


def platform_sheet(p: Page) -> None:
    platform_progress(p)
    blocks.sheet(p, p.h * p.rng.uniform(0.28, 0.4), p.word(("全部进度",), ("处理记录",)))
    progress.timeline(p, p.left + 30, p.y + 20, p.right - 20, _platform_events(p, 5))


def platform_long(p: Page) -> None:
    _platform_banner(p)
    _events_card(p, 5)
    _evidence(p)
    links(p)
    bars.home_bar(p)


def platform_links(p: Page) -> None:
    _platform_banner(p)
    links(p)
    _events_card(p, 3)
    goods_card(p, p.word(("商品",), ("争议商品", "相关订单")))
    _evidence(p)


TRAIN = (platform_progress, platform_goods, platform_evidence, platform_sheet)
TEST = (platform_long, platform_links)
