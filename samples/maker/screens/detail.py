"""商品详情页截图: parameters, service notes and the long picture-and-text part of a product page."""

from samples.maker import bars, blocks
from samples.maker.draw import WHITE, blend
from samples.maker.page import Page

_TRAIN_PARAMS = (
    ("材质", "食品级不锈钢"), ("净重", "0.85kg"), ("产地", "青禾县"), ("适用", "四季通用"), ("颜色", "见选项"),
    ("功率", "45W"), ("保质期", "三年"), ("包装", "彩盒"), ("货号", "QH-2210"), ("厚度", "加厚型"),
)  # fmt: skip
_TEST_PARAMS = (
    ("面料", "棉麻混纺"), ("重量", "1.2公斤"), ("制造地", "白鹭市"), ("电压", "220V"), ("型号", "BL-07"),
    ("尺寸", "32×18cm"), ("人群", "成人儿童皆可"), ("洗涤", "可机洗"), ("认证", "已备案"),
)  # fmt: skip


def _table(p: Page, rows: int) -> None:
    """A ruled table of parameters, shaded names at the left."""
    params = p.rng.sample(_TRAIN_PARAMS if p.split == "train" else _TEST_PARAMS, rows)
    top, high = p.y + 16, 62
    p.box((p.left, top, p.right, top + rows * high), p.theme.card)
    p.box((p.left, top, p.left + 200, top + rows * high), blend(p.theme.card, p.theme.faint, 0.12))
    for i, (name, value) in enumerate(params):
        y = top + i * high
        p.line([(p.left, y), (p.right, y)], p.theme.rule, 2)
        p.text(p.left + 24, y + high / 2, name, p.size(26), p.theme.faint)
        p.text(p.left + 224, y + high / 2, value, p.size(26), p.theme.ink)
    p.y = top + rows * high


def _notes(p: Page, count: int) -> None:
    """Service promises with a tick before each."""
    heads = p.words(
        ("7天无理由退货", "极速退款", "运费险", "24小时发货", "正品保证"),
        ("坏单包赔", "送货入户", "以旧换新", "三十天价保", "一年质保"),
        count,
    )
    bodies = (
        "签收之后商品完好可以申请退换,运费由险种承担",
        "符合条件的订单最快一小时到账",
        "承诺时间内未发出将补偿现金券",
    )
    others = ("配送途中如有破损,凭照片即可补寄新品", "师傅上门前会先致电预约时间", "期内降价可以申请补回差额")
    x, y, right = blocks.card(p, 160 * count + 20)
    for i, head in enumerate(heads):
        p.disc(x + 16, y + 44, 15, p.theme.accent)
        p.line([(x + 9, y + 44), (x + 14, y + 50), (x + 24, y + 38)], WHITE, 4)
        p.text(x + 46, y + 44, head, p.size(28), p.theme.ink, bold=True)
        y = (
            p.paragraph(
                x + 46,
                y + 76,
                (bodies if p.split == "train" else others)[i % 3],
                p.size(24),
                p.theme.faint,
                right - x - 50,
                lines=2,
            )
            + 20
        )


def _poster(p: Page, high: float) -> None:
    """One slab of the long picture: a slogan and the thing."""
    goods = p.goods()
    ground = blend(p.any_color(40, 230), WHITE, p.rng.uniform(0.5, 0.92))
    ink = WHITE if sum(ground) < 380 else (40, 40, 46)
    p.gradient((0, p.y, p.w, p.y + high), ground, blend(ground, WHITE, 0.4))
    p.text(
        p.w / 2,
        p.y + 76,
        p.word(
            ("一杯暖到下班", "轻一点 走更远", "好用看得见", "安静得只剩风"),
            ("为家多想一步", "细节之处见真章", "每天都想用它"),
        ),
        52,
        ink,
        bold=True,
        anchor="mm",
    )
    p.text(
        p.w / 2,
        p.y + 138,
        p.word(("严选原料 | 匠心工艺", "升级结构 省力一半"), ("多层防护 久用如新", "符合人体曲线")),
        28,
        ink,
        anchor="mm",
    )
    side = min(high - 230, 480)
    p.paste(p.tile(goods, side), (p.w - side) / 2, p.y + 190, p.rng.choice((0, 24, round(side / 2))))
    p.y += high


def _swatches(p: Page) -> None:
    """Three detail shots with captions."""
    for i in range(3):
        x = p.left + 6 + i * 232
        p.paste(p.tile(p.goods(), 214), x, p.y + 24, 107 if p.chance(0.5) else 12)
        p.text(
            x + 107,
            p.y + 268,
            p.word(("防滑底纹", "圆润收边", "双层结构"), ("透气网布", "隐藏把手", "密封硅圈")),
            25,
            p.theme.ink,
            anchor="mm",
        )
    p.y += 310


def _detail_tabs(p: Page) -> None:
    bars.status_bar(p)
    bars.tabs(p, p.words(("宝贝", "评论", "详情", "同店好货"), ("商品", "买家说", "介绍", "相似"), 4), 2)


def _heading(p: Page, words: str) -> None:
    p.line([(200, p.y + 44), (p.w - 200, p.y + 44)], p.theme.rule, 2)
    wide = p.measure(words, 30) + 40
    p.box(((p.w - wide) / 2, p.y + 20, (p.w + wide) / 2, p.y + 68), p.theme.page)
    p.text(p.w / 2, p.y + 44, words, 30, p.theme.ink, anchor="mm", bold=True)
    p.y += 84


def table_then_poster(p: Page) -> None:
    _detail_tabs(p)
    _heading(p, p.word(("产品参数", "商品信息"), ("规格参数",)))
    _table(p, 8)
    _poster(p, 900)


def posters(p: Page) -> None:
    p.y = 0
    _poster(p, 720)
    _swatches(p)
    _poster(p, 760)
    if p.chance(0.5):
        bars.status_bar(p, ground=p.theme.card)


def notes_sheet(p: Page) -> None:
    p.paste(p.tile(p.goods(), p.w), 0, 0)
    bars.status_bar(p)
    blocks.sheet(p, p.rng.randint(420, 560), p.word(("服务说明", "基础保障"), ("权益说明",)))
    _notes(p, 4)
    blocks.wide_button(p, p.word(("完成", "知道了"), ("关闭",)))


def poster_then_table(p: Page) -> None:
    _detail_tabs(p)
    _poster(p, 740)
    _heading(p, p.word(("规格一览", "详细参数"), ("参数说明",)))
    _table(p, 9)


def notes_then_poster(p: Page) -> None:
    _detail_tabs(p)
    _heading(p, p.word(("服务", "服务保障"), ("店铺承诺",)))
    _notes(p, 2)
    _poster(p, 1000)


def table_then_swatches(p: Page) -> None:
    _detail_tabs(p)
    _heading(p, p.word(("参数",), ("基本信息", "参数表")))
    _table(p, 6)
    _swatches(p)
    _poster(p, 700)


def notes_then_table(p: Page) -> None:
    _detail_tabs(p)
    _notes(p, 2)
    _table(p, 6)
    _poster(p, 800)


TRAIN = (table_then_poster, posters, notes_sheet, poster_then_table, notes_then_poster)
TEST = (table_then_swatches, notes_then_table)
