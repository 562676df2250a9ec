"""其他类别图片: the app's home page, text documents, games, empty results, cut-outs of nothing much."""

from samples.maker import bars, blocks
from samples.maker.draw import BLACK, WHITE, blend
from samples.maker.page import Page


def home(p: Page) -> None:
    """The app's first page: search, icon grid, recommendations."""
    bars.status_bar(p)
    bars.search_bar(p, p.goods().name, button=p.word(("搜索",), ("搜",)))
    names = p.words(
        ("超市", "外卖", "充值", "旅行", "农场", "签到", "数码", "服饰", "家装", "生鲜"),
        ("美食", "酒店", "电影", "百货", "闲置", "会员", "拍卖", "母婴", "健康", "直播"),
        10,
    )
    for i, name in enumerate(names):
        x, y = p.w * (i % 5 + 0.5) / 5, p.y + 70 + (i // 5) * 150
        p.disc(x, y, 46, blend(p.any_color(60, 250), WHITE, 0.2))
        bars.icon(p, x, y, 22, WHITE, i)
        p.text(x, y + 74, name, 24, p.theme.ink, anchor="mm")
    p.y += 300
    blocks.goods_grid(p, 2, 3)
    bars.bottom_nav(
        p, p.words(("首页", "视频", "消息", "购物车", "我的"), ("推荐", "逛逛", "通知", "车", "个人"), 5), 0
    )


def _document(p: Page) -> None:
    p.text(
        p.w / 2,
        p.y + 50,
        p.word(("用户服务协议", "售后规则说明", "隐私政策"), ("平台使用条款", "发货规范", "积分规则")),
        p.size(36),
        p.theme.ink,
        bold=True,
        anchor="mm",
    )
    p.y += 100
    heads = p.words(
        ("一、总则", "二、适用范围", "三、双方权利", "四、申请条件", "五、处理时限", "六、附则"),
        ("第一条 定义", "第二条 责任", "第三条 流程", "第四条 例外", "第五条 变更", "第六条 其他"), 6,
    )  # fmt: skip
    bodies = p.words(
        ("本规则适用于所有在本平台购买商品的用户。提交申请前应当仔细阅读全部内容,并对所提供材料的真实性负责。",
         "自签收之日起七日内,商品保持完好的,可以提出申请。定制类、鲜活易腐类商品除外。",
         "逾期未处理的,系统将自动完成流程。如有争议,双方应友好协商,协商不成的可提交平台。",
         "商家应当在承诺的时限内答复,不得以任何理由推诿。因特殊情况需要延期的,应事先征得对方同意。",
         "平台有权根据经营需要修订本规则,修订后的内容将在公告期满后生效。"),
        ("为了保障您的合法权益,请在使用之前充分理解各项约定。若您继续操作,即视为同意全部条款。",
         "商家应按照承诺的时间寄出货物,因不可抗力造成延误的,应及时告知买家并说明预计日期。",
         "积分自到账之日起一年内有效,过期清零,不可兑换现金,也不能转让给他人使用。",
         "您应妥善保管账号和密码,因保管不善造成的损失由您自行承担。",
         "本条款的解释权归平台所有,未尽事宜参照其他相关规定执行。"), 5,
    )  # fmt: skip
    for i, head in enumerate(sorted(heads, key=_chapter)):
        p.y = p.paragraph(p.left + 20, p.y, head, p.size(28), p.theme.ink, 660, bold=True)
        for words in (bodies[i % 5], bodies[(i + 2) % 5]):
            p.y = p.paragraph(p.left + 20, p.y, words, p.size(25), p.theme.faint, p.right - p.left - 40) + 16


def _chapter(head: str) -> int:
    return next(i for i, mark in enumerate("一二三四五六") if mark in head)


def document(p: Page) -> None:
    p.box((0, 0, p.w, p.h), p.theme.card)
    bars.plain_top(p, p.word(("详情", "规则"), ("说明",)))
    _document(p)


def app_settings(p: Page) -> None:
    bars.plain_top(p, p.word(("设置", "账号与安全"), ("通用", "偏好设置")))
    names = p.words(
        ("收货地址", "支付设置", "消息通知", "长辈模式", "清除缓存", "关于我们", "检查更新", "隐私", "意见反馈", "地区"),
        ("地址管理", "提醒方式", "字体大小", "深色模式", "下载管理", "帮助中心", "版本说明", "黑名单", "退出登录"), 9,
    )  # fmt: skip
    for start in range(0, 9, 3):
        x, y, right = blocks.card(p, 3 * 96 + 20)
        for i, name in enumerate(names[start : start + 3]):
            p.text(x, y + 58 + i * 96, name, p.size(29), p.theme.ink)
            p.text(right, y + 58 + i * 96, "›", 36, p.theme.faint, anchor="rm")
    bars.home_bar(p)


def game(p: Page) -> None:
    """A little farm game: meadow, trees, coins."""
    p.gradient((0, 0, p.w, p.h * 0.45), (120, 200, 250), (200, 236, 255))
    p.gradient((0, p.h * 0.42, p.w, p.h), (140, 210, 90), (80, 160, 60))
    for _ in range(9):
        x, y = p.rng.uniform(40, p.w - 40), p.rng.uniform(p.h * 0.42, p.h * 0.85)
        p.box((x - 10, y, x + 10, y + 80), (130, 90, 50), 4)
        p.disc(x, y, p.rng.uniform(46, 80), p.rng.choice(((60, 150, 70), (90, 180, 80), (240, 150, 170))))
    bars.status_bar(p, BLACK)
    p.box((30, p.y + 10, 270, p.y + 74), (255, 250, 220), 32)
    p.text(
        60,
        p.y + 42,
        f"{p.word(('水滴',), ('阳光',))} {p.rng.randint(10, 900)}g",
        30,
        (120, 80, 20),
        bold=True,
    )
    p.box((170, p.h - 260, p.w - 170, p.h - 160), (255, 190, 50), 50)
    p.text(
        p.w / 2,
        p.h - 210,
        p.word(("浇水", "收获果实"), ("施肥", "领养小树")),
        40,
        WHITE,
        bold=True,
        anchor="mm",
    )


def nothing(p: Page) -> None:
    """An empty result or a page that did not load."""
    p.box((0, 0, p.w, p.h), p.theme.card)
    bars.plain_top(p, p.word(("搜索结果", "我的收藏"), ("足迹", "消息")))
    mid = p.h * 0.4
    p.disc(p.w / 2, mid, 110, blend(p.theme.card, p.theme.faint, 0.2))
    bars.icon(p, p.w / 2, mid, 56, p.theme.faint, p.rng.randint(0, 5))
    p.text(
        p.w / 2,
        mid + 170,
        p.word(("这里什么也没有", "网络好像开小差了"), ("暂无内容", "页面走丢了")),
        p.size(31),
        p.theme.faint,
        anchor="mm",
    )
    blocks.button(p, (240, mid + 230, p.w - 240, mid + 300), p.word(("刷新",), ("重新加载",)), "grey")


def member(p: Page) -> None:
    """The app's own 'me' page without a name: icon rows."""
    bars.status_bar(p)
    for rows in (1, 2, 2):
        x, y, right = blocks.card(p, 150 * rows + 70)
        p.text(
            x,
            y + 40,
            p.word(("常用工具", "必备服务", "互动游戏"), ("我的服务", "更多功能", "玩一玩")),
            p.size(29),
            p.theme.ink,
            bold=True,
        )
        for i in range(5 * rows):
            cx, cy = x + (right - x) * (i % 5 + 0.5) / 5, y + 112 + (i // 5) * 146
            bars.icon(p, cx, cy, 28, p.rng.choice((p.theme.accent, (60, 140, 240), (50, 170, 110))), i + rows)
            p.text(
                cx,
                cy + 60,
                p.word(("收藏", "足迹", "客服", "亲情号", "领水果"), ("关注", "卡包", "帮助", "礼物", "种树")),
                23,
                p.theme.ink,
                anchor="mm",
            )
    blocks.goods_grid(p, 2, 1)
    bars.bottom_nav(p, p.words(("首页", "视频", "消息", "我的"), ("推荐", "逛逛", "通知", "个人"), 4), 3)


def questions(p: Page) -> None:
    """Help: questions under each other, one opened."""
    bars.plain_top(p, p.word(("帮助",), ("帮助中心", "常见问题")))
    heads = p.words(
        ("怎么修改密码", "如何联系人工"),
        (
            "怎样绑定手机",
            "为什么收不到短信",
            "如何注销账号",
            "怎么关闭推送",
            "字体太小怎么办",
            "如何切换城市",
        ),
        6,
    )
    x, y, right = blocks.card(p, 110 * len(heads) + 150)
    p.paragraph(
        x,
        y + 110,
        p.word(("请前往设置页操作。",), ("打开设置,找到对应的一项,按照提示完成即可;如果仍有问题,请留言给我们。",)),
        p.size(25),
        p.theme.faint,
        right - x,
    )
    for i, head in enumerate(heads):
        line = y + 58 + i * 110 + (130 if i else 0)
        p.text(x, line, head, p.size(29), p.theme.ink)
        p.text(right, line, "›", 36, p.theme.faint, anchor="rm")
    bars.home_bar(p)


TRAIN = (home, document, app_settings, game, nothing)
TEST = (home, document, questions, nothing, member)
