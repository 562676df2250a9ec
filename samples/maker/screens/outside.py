"""外部APP截图: other, equally invented apps, drawn in styles that the shop's app does not use."""

from samples.maker import bars, blocks
from samples.maker.draw import BLACK, WHITE, Color, blend
from samples.maker.page import Page
from samples.maker.screens import system

_GREEN: Color = (150, 236, 110)
_BLUES: tuple[Color, ...] = ((60, 140, 255), (0, 150, 220))


def _line(p: Page) -> str:
    return p.word(
        ("在吗?东西到了没", "明天再看看吧", "这个多少钱买的呀", "好的,收到", "周末一起去逛街?", "发票发我邮箱就行", "孩子的作业写完了"),
        ("刚下班,晚点回你", "链接发我一下", "已经寄出去了哈", "谢谢老板", "下周三开会记得带资料", "哈哈哈太好笑了"),
    )  # fmt: skip


def _bubbles(p: Page, mine: Color, ground: Color, theirs: Color) -> None:
    p.box((0, p.y, p.w, p.h), ground)
    y = p.y + 30
    while y < p.h - 240:
        own, words = p.chance(0.45), _line(p)
        wide = p.measure(words, 28) + 48
        blocks.avatar(p, p.w - 60 if own else 60, y + 40, 38)
        x = p.w - 120 - wide if own else 120.0
        fill = mine if own else theirs
        p.box((x, y, x + wide, y + 80), fill, 14)
        p.text(x + 24, y + 40, words, 28, BLACK if sum(fill) > 380 else WHITE)
        y += 128
        if p.chance(0.25):
            p.text(p.w / 2, y, p.date()[11:], 22, (150, 150, 150), anchor="mm")
            y += 46
    p.box((0, p.h - 140, p.w, p.h), blend(ground, WHITE, 0.5))
    p.box((90, p.h - 120, p.w - 180, p.h - 50), theirs, 12)
    for x in (50, p.w - 130, p.w - 56):
        p.disc(x, p.h - 85, 26, None, (90, 90, 90), 4)


def chat(p: Page) -> None:
    ground = p.rng.choice(((237, 237, 237), (240, 244, 250), (17, 17, 17)))
    p.box((0, 0, p.w, p.h), ground)
    ink = BLACK if sum(ground) > 380 else WHITE
    bars.status_bar(p, ink)
    bars.title_bar(
        p,
        p.word(("小鱼儿", "相亲相爱一家人(6)", "房东陈姐"), ("老同学", "羽毛球搭子(12)", "快递小哥")),
        ink=ink,
    )
    _bubbles(p, p.rng.choice((_GREEN, (80, 160, 255))), ground, WHITE if sum(ground) > 380 else (44, 44, 44))


def short_video(p: Page) -> None:
    """A dark full-screen picture with icons down the right side."""
    goods = p.goods()
    ground = blend(p.any_color(20, 130), BLACK, 0.5)
    p.gradient((0, 0, p.w, p.h), ground, BLACK)
    p.paste(p.tile(goods, p.w), 0, p.h * 0.24)
    bars.status_bar(p, WHITE)
    p.text(
        p.w / 2,
        p.y + 40,
        p.word(("关注    推荐    同城",), ("附近   精选   直播",)),
        32,
        WHITE,
        bold=True,
        anchor="mm",
    )
    for i in range(4):
        y = p.h * 0.48 + i * 130
        bars.icon(p, p.w - 64, y, 36, WHITE, 5 - i)
        p.text(p.w - 64, y + 60, f"{p.rng.uniform(0.2, 9):.1f}万", 24, WHITE, anchor="mm")
    p.text(30, p.h - 290, f"@{p.rng.choice(p.world.buyers)}", 34, WHITE, bold=True)
    p.paragraph(
        30,
        p.h - 250,
        p.word(
            ("开箱!等了一周的新玩意儿 #好物分享 #日常", "教你三招收纳换季衣服 #生活小技巧"),
            ("这也太好用了吧 #测评", "给大家看看实物 #不踩坑"),
        ),
        28,
        WHITE,
        540,
        lines=2,
    )
    p.box((0, p.h - 140, p.w, p.h), BLACK)
    p.text(
        p.w / 2,
        p.h - 80,
        p.word(("首页     朋友     ＋     消息     我",), ("主页    商城    ＋    通知    我的",)),
        30,
        WHITE,
        anchor="mm",
    )


def map_app(p: Page) -> None:
    """A map that fills the screen, with a search field above and a place sheet below."""
    p.box((0, 0, p.w, p.h), (238, 240, 232))
    for _ in range(12):
        x, y = p.rng.uniform(-60, p.w), p.rng.uniform(0, p.h)
        p.box(
            (x, y, x + p.rng.uniform(80, 240), y + p.rng.uniform(60, 180)),
            p.rng.choice(((206, 232, 200), (196, 222, 246), (230, 228, 220))),
            16,
        )
    for _ in range(14):
        y, x = p.rng.uniform(0, p.h), p.rng.uniform(0, p.w)
        p.line(
            [(0, y), (p.w, y + p.rng.uniform(-260, 260))],
            p.rng.choice((WHITE, (255, 226, 150))),
            p.rng.choice((8, 14)),
        )
        p.line([(x, 0), (x + p.rng.uniform(-200, 200), p.h)], WHITE, 8)
    p.line([(120, p.h * 0.6), (300, p.h * 0.5), (380, p.h * 0.34), (560, p.h * 0.26)], p.rng.choice(_BLUES), 16)
    bars.status_bar(p, BLACK)
    p.box((30, p.y + 10, p.w - 30, p.y + 100), WHITE, 20)
    p.text(70, p.y + 55, p.word(("搜索地点、公交、路线",), ("查找目的地",)), 30, (150, 150, 150))
    p.box((0, p.h - 330, p.w, p.h + 40), WHITE, 36)
    p.text(40, p.h - 270, p.rng.choice(p.world.streets), 38, BLACK, bold=True)
    p.text(40, p.h - 210, p.word(("驾车 23分钟 · 8.6公里",), ("步行 14分钟 · 1.1公里",)), 28, (130, 130, 130))
    p.box((40, p.h - 160, p.w - 40, p.h - 70), p.rng.choice(_BLUES), 20)
    p.text(p.w / 2, p.h - 115, p.word(("开始导航",), ("出发",)), 34, WHITE, bold=True, anchor="mm")


def bank(p: Page) -> None:
    """A bank's app: blue card, icon grid."""
    ground = p.rng.choice(((20, 70, 160), (0, 110, 110), (150, 30, 50)))
    p.box((0, 0, p.w, p.h), (245, 246, 250))
    p.box((0, 0, p.w, 520), ground)
    bars.status_bar(p, WHITE)
    p.text(40, p.y + 60, p.word(("云溪银行",), ("白鹭储蓄", "远山信用社")), 42, WHITE, bold=True)
    p.gradient((40, p.y + 120, p.w - 40, p.y + 400), blend(ground, WHITE, 0.25), blend(ground, WHITE, 0.5), 28)
    p.text(80, p.y + 190, f"**** **** **** {p.digits(4)}", 40, WHITE)
    p.text(80, p.y + 320, p.word(("点击查看余额",), ("资产已隐藏",)), 28, WHITE)
    names = p.words(
        ("转账", "理财", "贷款", "生活缴费", "信用卡", "外汇", "基金", "网点", "保险"),
        ("存款", "汇款", "账单", "挂失", "积分", "话费", "社保", "更多"),
        8,
    )
    for i, name in enumerate(names):
        x, y = p.w * (i % 4 + 0.5) / 4, p.y + 500 + (i // 4) * 170
        p.disc(x, y, 42, blend(ground, WHITE, 0.85))
        bars.icon(p, x, y, 22, ground, i)
        p.text(x, y + 74, name, 27, BLACK, anchor="mm")
    y = p.y + 840
    for _ in range(3):
        p.box((40, y, p.w - 40, y + 150), WHITE, 20)
        p.text(70, y + 50, p.word(("稳健理财30天", "零钱通"), ("定存三个月", "养老计划")), 30, BLACK, bold=True)
        p.text(70, y + 104, f"{p.rng.uniform(1, 4):.2f}%", 36, (220, 60, 50), bold=True)
        y += 170


def notes_feed(p: Page) -> None:
    """A blog app: two columns of uneven picture cards under red tabs."""
    p.box((0, 0, p.w, p.h), (246, 246, 246))
    bars.status_bar(p, BLACK)
    p.text(
        p.w / 2,
        p.y + 44,
        p.word(("关注   发现   附近",), ("圈子   热门   本地",)),
        34,
        BLACK,
        bold=True,
        anchor="mm",
    )
    tops = [p.y + 100.0, p.y + 100.0]
    while min(tops) < p.h:
        column = tops.index(min(tops))
        x, y, side = 14 + column * 350, tops[column], 338
        high = p.rng.choice((260, 338, 420))
        p.box((x, y, x + side, y + high + 120), WHITE, 14)
        p.paste(p.tile(p.goods(), max(side, high)).crop((0, 0, side, high)), x, y, 14)
        p.text(
            x + 16,
            y + high + 36,
            p.word(
                ("出租屋改造日记", "今日份快乐", "避雷!千万别买"),
                ("通勤穿搭合集", "一周早餐打卡", "旅行清单"),
            ),
            27,
            BLACK,
            width=side - 30,
        )
        blocks.avatar(p, x + 34, y + high + 86, 18)
        p.text(x + 64, y + high + 86, p.rng.choice(p.world.buyers), 22, (140, 140, 140))
        tops[column] = y + high + 134


TRAIN = (chat, system.messages, short_video, system.settings, map_app, bank)
TEST = (chat, system.messages, system.settings, notes_feed, system.calls, short_video)
