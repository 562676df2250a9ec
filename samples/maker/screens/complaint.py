"""投诉举报页面: how a complaint stands, or the form to make one."""

from samples.maker import bars, blocks, progress
from samples.maker.draw import WHITE, Color, blend
from samples.maker.page import Page

_BANDS: tuple[Color, ...] = ((36, 60, 150), (30, 140, 90), (40, 90, 190), (26, 110, 120))


def _reasons(p: Page, count: int) -> list[str]:
    return p.words(
        ("虚假宣传", "拒绝发货", "服务态度恶劣", "出售假冒商品", "泄露信息", "诱导好评", "违背承诺"),
        ("描述不实", "恶意骚扰", "不履行保修", "价格欺诈", "劣质产品", "虚假发货", "不开发票"), count,
    )  # fmt: skip


def _band(p: Page) -> None:
    ground = p.rng.choice(_BANDS)
    bars.band_top(
        p,
        p.word(("投诉详情", "我的投诉", "举报详情"), ("投诉进度", "举报进展")),
        330,
        first=ground,
        last=blend(ground, WHITE, 0.25),
    )
    p.text(
        p.left + 24,
        p.y + 30,
        p.word(("投诉已处理完成", "投诉受理中", "举报成立"), ("投诉已立案", "核查完毕", "等待核实")),
        p.size(42),
        WHITE,
        bold=True,
    )
    p.text(p.left + 24, p.y + 88, f"{p.word(('投诉编号',), ('受理号',))} {p.digits(12)}", p.size(24), WHITE)
    p.y += 120


def _steps(p: Page) -> None:
    _x, y, _right = blocks.card(p, 150)
    progress.stepper(
        p,
        y + 26,
        p.word(("提交投诉 平台审核 商家处理 完成",), ("发起 受理 调查 结案",)).split(),
        p.rng.randint(1, 3),
        ink=(40, 110, 220),
    )


def _progress(p: Page, count: int) -> None:
    items = p.words(
        ("平台判决,投诉成立|对商家作出扣分处理,赔付已发放到账户", "卖家处理中|卖家需在24小时内回应", "平台核实处理|我们会对违规行为严肃查处", "您发起投诉|原因:拒绝退换"),
        ("裁定结果|商家违规属实,店铺降权", "调查取证|专员已联系双方", "受理成功|请保持手机畅通", "提交举报|感谢您的监督"), count,
    )  # fmt: skip
    progress.timeline_card(p, [tuple(item.split("|")) for item in items])  # type: ignore[misc]


def _subject(p: Page) -> None:
    x, y, right = blocks.card(p, 310)
    p.text(x, y + 40, p.word(("投诉信息",), ("被投诉商品", "举报对象")), p.size(29), p.theme.ink, bold=True)
    blocks.goods_row(p, x, y + 76, right, p.goods())
    blocks.pairs(p, x, y + 240, right, [(p.word(("投诉原因",), ("举报类型",)), _reasons(p, 1)[0])])


def _choices(p: Page, count: int) -> None:
    """Reasons with a round choice before each."""
    x, y, _right = blocks.card(p, 72 * count + 84)
    p.text(
        x,
        y + 44,
        p.word(("请选择投诉原因", "投诉类型"), ("举报理由", "选择违规类型")),
        p.size(29),
        p.theme.ink,
        bold=True,
    )
    for i, reason in enumerate(_reasons(p, count)):
        mid = y + 112 + i * 72
        p.disc(x + 20, mid, 17, None, (40, 110, 220) if i == 0 else p.theme.faint)
        if i == 0:
            p.disc(x + 20, mid, 9, (40, 110, 220))
        p.text(x + 56, mid, reason, p.size(27), p.theme.ink)


def _writing(p: Page, high: float) -> None:
    """A box for the story, filled or not, and a place for pictures."""
    x, y, right = blocks.card(p, high + 250)
    p.text(x, y + 40, p.word(("投诉描述", "问题描述"), ("详细说明",)), p.size(29), p.theme.ink, bold=True)
    p.box((x, y + 74, right, y + 74 + high), blend(p.theme.card, p.theme.ink, 0.04), 12)
    words = p.word(
        ("商家收到退货之后一直不退款,多次沟通没有结果,请平台处理。", "请描述您遇到的问题,不少于10个字"),
        ("卖家发来辱骂短信,希望严惩。", "写下事情经过,方便我们核查"),
    )
    p.paragraph(x + 20, y + 90, words, p.size(25), p.theme.faint, right - x - 40)
    for i in range(3):
        bx = x + i * 150
        p.box((bx, y + high + 96, bx + 130, y + high + 226), blend(p.theme.card, p.theme.ink, 0.06), 10)
        p.line([(bx + 65, y + high + 140), (bx + 65, y + high + 182)], p.theme.faint, 4)
        p.line([(bx + 44, y + high + 161), (bx + 86, y + high + 161)], p.theme.faint, 4)


def _submit(p: Page) -> None:
    y = p.h - 170
    p.box((0, y - 30, p.w, p.h), p.theme.card)
    p.box((p.left + 20, y, p.w / 2 - 14, y + 84), None, 42, outline=(40, 110, 220))
    p.text(p.w / 4 + 6, y + 42, p.word(("上一步", "取消"), ("返回",)), 30, (40, 110, 220), anchor="mm")
    p.box((p.w / 2 + 14, y, p.right - 20, y + 84), (40, 110, 220), 42)
    p.text(p.w * 0.75 - 6, y + 42, p.word(("提交", "提交投诉"), ("确认举报",)), 30, WHITE, bold=True, anchor="mm")


def judged(p: Page) -> None:
    _band(p)
    _steps(p)
    _progress(p, 3)
    _subject(p)
    bars.home_bar(p)


def waiting(p: Page) -> None:
    _band(p)
    _steps(p)
    _subject(p)
    _progress(p, 4)
    bars.home_bar(p)


def form(p: Page) -> None:
    ground = p.rng.choice(_BANDS)
    bars.band_top(p, p.word(("我要投诉", "投诉商家"), ("发起举报",)), 160, first=ground, last=ground)
    _choices(p, 5)
    _writing(p, 240)
    _submit(p)


def long_form(p: Page) -> None:
    bars.plain_top(p, p.word(("投诉", "举报中心"), ("违规举报",)))
    _subject(p)
    _choices(p, 4)
    _writing(p, 180)
    _submit(p)


def form_first_text(p: Page) -> None:
    ground = p.rng.choice(_BANDS)
    bars.band_top(p, p.word(("投诉",), ("举报商家", "投诉受理")), 160, first=ground, last=ground)
    _writing(p, 200)
    _choices(p, 6)
    _submit(p)


def progress_only(p: Page) -> None:
    _band(p)
    _subject(p)
    _steps(p)
    _progress(p, 3)
    bars.home_bar(p)


TRAIN = (judged, waiting, form, long_form)
TEST = (form_first_text, progress_only)
