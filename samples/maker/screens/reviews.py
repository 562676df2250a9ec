"""评论区截图页面: avatars, stars, what buyers wrote, and the pictures they took."""

from samples.maker import bars, blocks
from samples.maker.draw import blend
from samples.maker.page import Page

_GOLD = (255, 160, 30)


def _opinion(p: Page) -> str:
    parts = p.words(
        ("收到货很惊喜,做工比想象中细致。", "用了一周,没有异味,家里人都说好。", "颜色跟图片有一点差别,不过能接受。", "客服回复很快,物流也给力!",
         "尺寸偏小,建议拍大一号。", "包装严实,没有磕碰。", "价格实惠,准备再囤两个。"),
        ("第二次回购了,品质一如既往。", "质感不错,就是有点沉。", "孩子特别喜欢,天天要用。", "安装简单,十分钟搞定。", "边角有毛刺,店家给补发了。",
         "对比了好几家才选的它,没失望。"),
        p.rng.randint(1, 3),
    )  # fmt: skip
    return "".join(parts)


def _review(p: Page, pictures: int, *, stars: bool = True, reply: bool = False) -> None:
    top = p.y
    text_lines = 3
    words = _opinion(p)
    side = (p.right - p.left - 60) / max(3, pictures)
    high = 130 + 38 * min(text_lines, len(words) // 22 + 1) + (side + 16 if pictures else 0) + (90 if reply else 0) + 40
    x, y, right = blocks.card(p, high)
    blocks.avatar(p, x + 34, y + 54, 34)
    p.private(x + 84, y + 38, p.rng.choice(p.world.buyers), p.size(27), p.theme.ink)
    if stars:
        for i in range(5):
            p.star(x + 98 + i * 32, y + 76, 14, _GOLD if i < p.rng.randint(3, 5) else p.theme.rule)
    p.text(right, y + 38, p.date()[:10], 22, p.theme.faint, anchor="rm")
    if not stars:
        p.text(x + 84, y + 76, f"{p.rng.choice(p.world.colors)} {p.rng.choice(p.world.sizes)}", 22, p.theme.faint)
    y = p.paragraph(x, y + 104, words, p.size(26), p.theme.ink, right - x, lines=text_lines) + 10
    for i in range(pictures):
        p.paste(p.tile(p.goods(), side - 10), x + i * side, y, 10)
    y += side if pictures else 0
    if reply:
        p.box((x, y + 10, right, y + 84), blend(p.theme.card, p.theme.ink, 0.05), 10)
        p.text(
            x + 16,
            y + 46,
            p.word(("商家回复:感谢您的支持", "追评:还是很好用"), ("店主:欢迎下次再来", "掌柜说:谢谢认可")),
            p.size(24),
            p.theme.faint,
            width=right - x - 30,
        )
    p.y = max(p.y, top + high)


def _filters(p: Page, count: int) -> None:
    x, y = p.left + 6.0, p.y + 16
    names = p.words(
        ("全部", "有图 312", "追评 28", "好评 986", "质量不错 55", "味道好 40"), ("最新", "带图", "中差评 9", "视频 17", "性价比高 61",
         "颜值高 33"), count
    )  # fmt: skip
    for i, name in enumerate(names):
        if x + p.measure(name, p.size(25)) + 60 > p.right:
            x, y = p.left + 6.0, y + 68
        x = blocks.chip(p, x, y, name, on=i == 0)
    p.y = y + 60


def filtered(p: Page) -> None:
    bars.plain_top(p, p.word(("全部评价", "宝贝评价", "评价(1200+)"), ("买家评论", "用户评价")))
    _filters(p, 5)
    for pictures in (3, 0, 3, 2):
        _review(p, pictures)
    bars.home_bar(p)


def tabbed(p: Page) -> None:
    bars.status_bar(p)
    bars.search_bar(p, p.word(("搜索评价",), ("搜评论",)))
    bars.tabs(p, p.words(("宝贝评价", "问大家", "买家秀"), ("评论", "提问", "晒图"), 3))
    _filters(p, 4)
    for pictures in (0, 3, 0, 3):
        _review(p, pictures, stars=False, reply=p.chance(0.5))
    bars.home_bar(p)


def scored(p: Page) -> None:
    """The overall score in a box, then reviews."""
    bars.plain_top(p, p.word(("商品评价",), ("口碑",)))
    _score(p)
    for pictures in (3, 3, 0):
        _review(p, pictures)
    bars.home_bar(p)


def _score(p: Page) -> None:
    x, y, _right = blocks.card(p, 190)
    p.text(x + 80, y + 76, f"{p.rng.uniform(4.1, 5):.1f}", 76, _GOLD, bold=True, anchor="mm")
    p.text(x + 80, y + 142, p.word(("综合评分",), ("总体得分",)), 24, p.theme.faint, anchor="mm")
    for i, name in enumerate(p.words(("描述相符", "物流服务", "服务态度"), ("品质", "配送", "客服"), 3)):
        p.text(x + 200, y + 48 + i * 48, name, 24, p.theme.ink)
        for k in range(5):
            p.star(x + 350 + k * 44, y + 48 + i * 48, 16, _GOLD if k < 4 else p.theme.rule)
    p.y += 0


def long_text(p: Page) -> None:
    bars.plain_top(p, p.word(("我的评价", "评价详情"), ("评论详情",)))
    _review(p, 0, reply=True)
    _review(p, 3, reply=True)
    _review(p, 3)
    _review(p, 0)
    bars.home_bar(p)


def writing(p: Page) -> None:
    """Score box and filters together above the reviews."""
    bars.plain_top(p, p.word(("发表评价",), ("评价中心", "评论区")))
    _score(p)
    _filters(p, 6)
    for pictures in (2, 3, 0):
        _review(p, pictures, reply=p.chance(0.3))
    bars.home_bar(p)


def in_sheet(p: Page) -> None:
    bars.plain_top(p, p.word(("详情",), ("宝贝",)))
    p.paste(p.tile(p.goods(), p.w), 0, p.y)
    blocks.sheet(p, p.rng.randint(150, 240), p.word(("评价",), ("大家都说", "买家评论")), dim=0.4)
    _filters(p, 4)
    for pictures in (3, 0, 3, 0):
        _review(p, pictures, stars=p.chance(0.7))


def under_tabs(p: Page) -> None:
    bars.status_bar(p)
    bars.tabs(p, p.words(("宝贝", "评价"), ("商品", "口碑", "图文", "同类"), 4), 1)
    _filters(p, 5)
    for pictures in (3, 0, 3, 2):
        _review(p, pictures)
    bars.home_bar(p)


TRAIN = (filtered, tabbed, scored, long_text, in_sheet)
TEST = (writing, under_tabs)
