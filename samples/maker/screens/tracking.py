"""物流跟踪: where one parcel is, on a map or as a list of events."""

from samples.maker import bars, blocks, progress
from samples.maker.draw import WHITE, Color, blend
from samples.maker.page import Page

ALERT: Color = (232, 56, 40)


def town_map(p: Page, top: float, high: float) -> None:
    """A town plan with the way of the parcel on it."""
    ground = p.rng.choice(((226, 238, 246), (232, 242, 232), (240, 240, 234)))
    p.box((0, top, p.w, top + high), ground)
    for _ in range(4):
        x, y = p.rng.uniform(0, p.w), top + p.rng.uniform(0, high * 0.8)
        p.box(
            (x, y, x + p.rng.uniform(60, 200), min(top + high, y + p.rng.uniform(50, 140))),
            blend(ground, (140, 200, 150), 0.4),
            20,
        )
    for _ in range(7):
        y = top + p.rng.uniform(0, high)
        p.line(
            [(0, y), (p.w, min(top + high, max(top, y + p.rng.uniform(-160, 160))))],
            WHITE,
            p.rng.choice((4, 8, 12)),
        )
        x = p.rng.uniform(0, p.w)
        p.line([(x, top), (x + p.rng.uniform(-140, 140), top + high)], WHITE, p.rng.choice((4, 8)))
    way = [(p.w * f, top + high * p.rng.uniform(0.3, 0.75)) for f in (0.15, 0.35, 0.55, 0.78)]
    p.line(way, p.theme.accent, 9)
    for (x, y), ink in ((way[0], (40, 170, 110)), (way[-1], p.theme.accent)):
        p.disc(x, y, 26, ink)
        p.disc(x, y, 10, WHITE)
    p.y = top + high


def events(p: Page, count: int, first: tuple[str, str] | None = None) -> list[tuple[str, str]]:
    heads = p.words(
        ("运输中", "已揽件", "已发货", "已下单", "派送中", "到达站点"),
        ("在途中", "网点收件", "商家出库", "订单提交", "送件中", "分拣完成"),
        count,
    )
    towns = p.world.towns
    bodies = p.words(
        (f"快件已从{towns[0]}发出,下一站{towns[1]}分拨中心", "您的包裹已由站点揽收,等待发往中转场", "商品已经打包,等待揽收",
         "派送员正在派件,请保持电话畅通", f"包裹抵达{towns[2]},正在分拣", "您的订单已提交,商家正在备货", f"快件由{towns[3]}营业点接收"),
        (f"离开{towns[1]},正送往{towns[2]}营业部", "包裹在集散地完成扫描,准备装车", "小哥马上出发,请留意来电", "仓库已出货,快递员已取走",
         f"到了{towns[3]}集散场,等候转运", "卖家收到订单,正在拣货", f"{towns[0]}网点完成入库登记"),
        count,
    )  # fmt: skip
    events = list(zip(heads, bodies, strict=True))
    return [first, *events[1:]] if first else events


def courier(p: Page) -> None:
    x, y, right = blocks.card(p, 110)
    p.disc(x + 34, y + 56, 30, p.theme.accent)
    bars.icon(p, x + 34, y + 56, 14, WHITE, 1)
    p.private(x + 84, y + 56, f"{p.rng.choice(p.world.couriers)} {p.digits(13)}", p.size(26), p.theme.ink)
    p.text(right, y + 56, p.word(("复制 | 打电话",), ("拷贝 · 联系",)), p.size(23), p.theme.faint, anchor="rm")


def timeline_card(p: Page, count: int, first: tuple[str, str] | None = None) -> None:
    progress.timeline_card(p, events(p, count, first), alert=ALERT if first else None)


def goods_card(p: Page) -> None:
    x, y, right = blocks.card(p, 200)
    blocks.goods_row(p, x, y + 24, right, p.goods())


def rewards(p: Page) -> None:
    x, y, _right = blocks.card(p, 190)
    p.text(x, y + 40, p.word(("本单奖励",), ("收货有礼",)), p.size(28), p.theme.ink, bold=True)
    for i in range(2):
        p.box((x + i * 330, y + 76, x + i * 330 + 310, y + 166), p.theme.tint(), 16)
        p.disc(x + 50 + i * 330, y + 121, 28, (255, 190, 60))
        p.text(
            x + 96 + i * 330,
            y + 121,
            p.word(("金币+20", "抽奖一次"), ("积分翻倍", "领小红包")),
            25,
            p.theme.accent,
        )


def mapped(p: Page) -> None:
    town_map(p, 0, p.rng.randint(460, 600))
    bars.status_bar(p, (30, 30, 30))
    bars.back_arrow(p, 30, p.y + 40, (30, 30, 30))
    p.y = 440
    courier(p)
    timeline_card(p, 3)
    goods_card(p)
    rewards(p)
    bars.home_bar(p)


def listed(p: Page) -> None:
    bars.plain_top(p, p.word(("物流详情", "查看物流"), ("快递进度",)))
    goods_card(p)
    courier(p)
    timeline_card(p, 6)
    bars.home_bar(p)


def map_long(p: Page) -> None:
    bars.plain_top(p, p.word(("包裹跟踪", "物流详情"), ("配送轨迹",)))
    town_map(p, p.y, 380)
    p.y -= 40
    courier(p)
    timeline_card(p, 5)
    bars.home_bar(p)


def in_sheet(p: Page) -> None:
    town_map(p, 0, 600)
    bars.status_bar(p)
    blocks.sheet(p, p.rng.randint(260, 420), p.word(("详细信息", "物流详情"), ("全部动态",)), dim=0.5)
    progress.timeline(p, p.left + 30, p.y + 20, p.right - 20, events(p, 6))


def map_goods(p: Page) -> None:
    town_map(p, 0, p.rng.randint(520, 660))
    bars.status_bar(p, (30, 30, 30))
    p.y = 500
    timeline_card(p, 4)
    courier(p)
    goods_card(p)
    bars.home_bar(p)


def list_rewards(p: Page) -> None:
    bars.plain_top(p, p.word(("物流",), ("快递详情", "运送情况")))
    town_map(p, p.y, 260)
    courier(p)
    timeline_card(p, 5)
    rewards(p)
    bars.home_bar(p)


TRAIN = (mapped, listed, map_long, in_sheet)
TEST = (map_goods, list_rewards)
