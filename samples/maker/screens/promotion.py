"""活动页面: red envelopes, sales, tasks to do for coins."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE, Color, blend
from samples.maker.page import Page

_GROUNDS: tuple[Color, ...] = (
    (225, 36, 46),
    (240, 70, 110),
    (246, 96, 50),
    (235, 150, 40),
    (150, 60, 200),
    (236, 60, 150),
)
_GOLD: Color = (255, 222, 140)


def _ground(p: Page) -> Color:
    ground = p.rng.choice(_GROUNDS)
    p.gradient((0, 0, p.w, p.h), ground, blend(ground, p.rng.choice(_GROUNDS), 0.6))
    for _ in range(26):
        x, y = p.rng.uniform(0, p.w), p.rng.uniform(0, 520)
        ink = p.rng.choice((_GOLD, WHITE, (255, 180, 90)))
        p.disc(x, y, p.rng.uniform(3, 10), ink) if p.chance(0.6) else p.star(x, y, p.rng.uniform(8, 18), ink)
    return ground


def _slogan(p: Page) -> None:
    bars.status_bar(p, WHITE)
    bars.back_arrow(p, 30, p.y + 34, WHITE)
    bars.dots(p, p.w - 50, p.y + 34, WHITE)
    p.text(
        p.w / 2,
        p.y + 100,
        p.word(
            ("年中大促会场", "红包雨来啦", "天天领金币", "满减狂欢节"),
            ("焕新购物季", "好运抽奖日", "签到赢现金", "秒杀嘉年华"),
        ),
        p.size(72),
        _GOLD,
        bold=True,
        anchor="mm",
    )
    p.text(
        p.w / 2,
        p.y + 176,
        p.word(
            ("每满300减50 上不封顶", "限时三天 全场低至五折", "邀请好友 一起瓜分"),
            ("万件好物 第二件免单", "今晚八点 准时开抢"),
        ),
        p.size(32),
        WHITE,
        anchor="mm",
    )
    p.y += 220


def _envelope(p: Page, x: float, y: float, wide: float, high: float, words: str) -> None:
    p.box((x, y, x + wide, y + high), (214, 40, 40), 24, outline=_GOLD, width=4)
    p.pen.pieslice((x, y - high * 0.35, x + wide, y + high * 0.4), 0, 180, fill=(235, 80, 60))
    p.disc(x + wide / 2, y + high * 0.4, wide * 0.14, _GOLD)
    p.text(
        x + wide / 2,
        y + high * 0.4,
        p.word(("开",), ("抢",)),
        wide * 0.15,
        (200, 50, 30),
        bold=True,
        anchor="mm",
    )
    p.text(x + wide / 2, y + high * 0.74, words, wide * 0.13, _GOLD, bold=True, anchor="mm")


def _prize(p: Page) -> None:
    """A gold panel with a sum and a big round button."""
    _x, y, _right = blocks.card(p, 330, (255, 244, 222))
    p.text(
        p.w / 2,
        y + 56,
        p.word(("我的现金", "当前奖励"), ("已攒金额", "待提现")),
        p.size(28),
        (150, 80, 40),
        anchor="mm",
    )
    p.text(
        p.w / 2,
        y + 136,
        f"{p.money(1, 300)}{p.word(('元',), ('币',))}",
        p.size(70),
        (225, 50, 40),
        bold=True,
        anchor="mm",
    )
    blocks.button(
        p,
        (170, y + 210, p.w - 170, y + 296),
        p.word(("继续领现金", "立即抽奖"), ("马上参与", "去赚更多")),
        "full",
        34,
    )


def _tasks(p: Page, count: int) -> None:
    x, y, right = blocks.card(p, 96 * count + 80, (255, 250, 244))
    p.text(
        p.w / 2,
        y + 40,
        p.word(("做任务 拿奖励",), ("每日任务", "更多玩法")),
        p.size(30),
        (190, 50, 40),
        bold=True,
        anchor="mm",
    )
    names = p.words(
        ("浏览会场15秒", "收藏店铺", "邀请一位好友", "连续签到", "观看直播"),
        ("逛逛好店", "分享给朋友", "完成一次下单", "订阅提醒", "搜一搜"),
        count,
    )
    for i, name in enumerate(names):
        mid = y + 120 + i * 96
        p.disc(x + 34, mid, 32, blend((255, 190, 80), WHITE, 0.3))
        bars.icon(p, x + 34, mid, 16, (220, 70, 40), i + 2)
        p.text(x + 86, mid - 14, name, p.size(27), (60, 40, 30), bold=True)
        p.text(x + 86, mid + 22, f"+{p.rng.randint(5, 99)}{p.word(('金币',), ('积分',))}", 23, (225, 120, 40))
        blocks.button(
            p, (right - 140, mid - 30, right, mid + 30), p.word(("去完成", "去领取"), ("去参加",)), "full", 25
        )


def _deals(p: Page, rows: int) -> None:
    """Goods on white plates with prices in red pills."""
    side = (p.right - p.left - 28) / 3
    for i in range(rows * 3):
        x, y = p.left + (i % 3) * (side + 14), p.y + 14 + (i // 3) * (side + 84)
        goods = p.goods()
        p.box((x, y, x + side, y + side + 70), WHITE, 18)
        p.paste(p.tile(goods, side - 16), x + 8, y + 8, 14)
        p.box((x + 20, y + side + 6, x + side - 20, y + side + 56), (228, 40, 50), 25)
        p.text(x + side / 2, y + side + 31, f"¥{goods.price:g}", 28, WHITE, bold=True, anchor="mm")
    p.y += rows * (side + 84) + 10


def hall(p: Page) -> None:
    _ground(p)
    _slogan(p)
    _deals(p, 2)
    _tasks(p, 3)
    _deals(p, 1)


def envelopes(p: Page) -> None:
    _ground(p)
    _slogan(p)
    for i in range(3):
        _envelope(p, p.left + 10 + i * 232, p.y + 20, 212, 270, f"{p.rng.randint(1, 50)}元")
    p.y += 310
    _tasks(p, 4)
    _deals(p, 2)


def cash(p: Page) -> None:
    _ground(p)
    _slogan(p)
    _prize(p)
    _tasks(p, 5)
    _deals(p, 1)


def opened(p: Page) -> None:
    """One large envelope over the dimmed hall."""
    hall(p)
    p.shade((0, 0, p.w, p.h), 0.6)
    _envelope(p, 110, p.h * 0.24, 500, 660, p.word(("恭喜获得红包", "送您一个大红包"), ("好运来啦",)))
    blocks.cross(p, p.w / 2, p.h * 0.24 + 740, 20, WHITE)


def cash_deals(p: Page) -> None:
    _ground(p)
    _slogan(p)
    _prize(p)
    _deals(p, 2)
    _tasks(p, 2)


def wheel(p: Page) -> None:
    """A lucky wheel."""
    _ground(p)
    _slogan(p)
    x, y, r = p.w / 2, p.y + 260, 240
    p.disc(x, y, r + 24, _GOLD)
    for i in range(8):
        p.pen.pieslice((x - r, y - r, x + r, y + r), i * 45, i * 45 + 45, fill=((255, 236, 200), (250, 130, 90))[i % 2])
    p.disc(x, y, 76, (225, 45, 45))
    p.text(x, y, p.word(("抽",), ("转",)), 60, WHITE, bold=True, anchor="mm")
    p.y += 540
    _tasks(p, 3)
    _deals(p, 1)


TRAIN = (hall, envelopes, cash, opened)
TEST = (cash_deals, wheel)
