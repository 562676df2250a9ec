"""Screens of the phone itself: text messages, settings, calls. They count as 外部APP截图."""

from samples.maker import bars
from samples.maker.draw import BLACK, WHITE
from samples.maker.page import Page


def messages(p: Page) -> None:
    """SMS: one sender, grey bubbles."""
    p.box((0, 0, p.w, p.h), WHITE)
    bars.status_bar(p, BLACK)
    bars.title_bar(p, f"{p.digits(5)}{p.digits(6)}", ink=BLACK)
    texts = p.words(
        ("【云溪银行】您尾号4821的账户支出人民币35.60元,余额1208.33元", "【鹿铃快运】您的包裹已到驿站,取件码6-2-3087", "【云集市】验证码 294817,五分钟内有效",
         "【青禾交管】您有一条电子回执待查看", "【木叶集】会员日全场八折,回复T退订", "【望海水务】本期水费42.10元,请按时缴纳"),
        ("【白鹭储蓄】账户入账500.00元,如有疑问请致电客服", "【松果快递】快件由门卫代收,请及时领取", "【远山通信】本月流量已用80%,回复1查询",
         "【桐城湾图书馆】您借阅的图书即将到期", "【半亩田】上新啦,点开看看,退订回N", "【石榴县医院】预约成功,请按时就诊"),
        6,
    )  # fmt: skip
    y = p.y + 20
    for words in texts:
        p.text(p.w / 2, y + 20, p.date(), 22, (150, 150, 150), anchor="mm")
        rows = -(-int(p.measure(words, 28)) // 500)
        p.box((30, y + 50, 590, y + 84 + rows * 41), (233, 233, 237), 26)
        p.paragraph(56, y + 66, words, 28, BLACK, 508)
        y += rows * 41 + 140
    p.box((0, p.h - 160, p.w, p.h), WHITE)
    p.box((30, p.h - 130, p.w - 30, p.h - 60), (242, 242, 246), 35)


def settings(p: Page) -> None:
    """The phone's own settings."""
    p.box((0, 0, p.w, p.h), (242, 242, 247))
    bars.status_bar(p, BLACK)
    p.text(40, p.y + 60, p.word(("设置", "无线局域网"), ("系统设置", "关于手机")), 56, BLACK, bold=True)
    y = p.y + 120
    names = p.words(
        ("飞行模式", "蓝牙", "移动网络", "通知中心", "显示与亮度", "电池", "应用管理", "隐私", "存储空间", "声音"),
        ("网络连接", "桌面壁纸", "屏幕使用时间", "密码与安全", "系统更新", "辅助功能", "语言", "个人热点", "铃声"), 9,
    )  # fmt: skip
    for i, name in enumerate(names):
        y += 34 if i % 3 == 0 else 0
        p.box((30, y, p.w - 30, y + 100), WHITE, 0 if i % 3 == 1 else 22)
        p.box((60, y + 24, 112, y + 76), p.any_color(30, 240), 13)
        p.text(140, y + 50, name, 31, BLACK)
        if p.chance(0.4):
            on = p.chance(0.6)
            p.box((p.w - 150, y + 24, p.w - 60, y + 76), (60, 200, 90) if on else (220, 220, 224), 26)
            p.disc(p.w - 86 if on else p.w - 124, y + 50, 23, WHITE)
        else:
            p.text(p.w - 60, y + 50, "›", 40, (180, 180, 184), anchor="rm")
        y += 100


def calls(p: Page) -> None:
    """The phone's list of recent calls."""
    p.box((0, 0, p.w, p.h), WHITE)
    bars.status_bar(p, BLACK)
    p.text(40, p.y + 60, p.word(("通话",), ("最近通话", "电话")), 56, BLACK, bold=True)
    y = p.y + 130
    while y < p.h - 120:
        missed = p.chance(0.3)
        p.disc(70, y + 54, 34, (225, 228, 235))
        bars.icon(p, 70, y + 54, 18, WHITE, 4)
        number = f"1{p.digits(2)} {p.digits(4)} {p.digits(4)}"
        p.private(128, y + 38, number, 32, (225, 50, 50) if missed else BLACK)
        p.text(128, y + 80, p.rng.choice(p.world.towns), 24, (150, 150, 150))
        p.text(p.w - 40, y + 54, p.date()[5:10], 26, (150, 150, 150), anchor="rm")
        p.line([(128, y + 110), (p.w, y + 110)], (232, 232, 236), 2)
        y += 116
