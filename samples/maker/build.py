"""Writes the sample set: two JSON files in the challenge's format and the pictures they name."""

import hashlib
import json
import random
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image

from samples.maker.dialogues import Dialogue, make_dialogues
from samples.maker.pictures import draw_picture
from samples.maker.screens import SCENES

IMAGE_PROMPT = (
    "Picture 1: <image>\n你是一个电商领域识图专家,可以理解消费者上传的软件截图或实物拍摄图。现在,请你对消费者上传的图片进行分类。"
    "你只需要回答图片分类结果,不需要其他多余的话。以下是可以参考的分类标签,分类标签:"
    '["实物拍摄(含售后)","商品分类选项","商品头图","商品详情页截图","下单过程中出现异常（显示购买失败浮窗）","订单详情页面",'
    '"支付页面","消费者与客服聊天页面","评论区截图页面","物流页面-物流列表页面","物流页面-物流跟踪页面","物流页面-物流异常页面",'
    '"退款页面","退货页面","换货页面","购物车页面","店铺页面","活动页面","优惠券领取页面","账单/账户页面","个人信息页面",'
    '"投诉举报页面","平台介入页面","外部APP截图","其他类别图片"]。'
)
DIALOGUE_PROMPT = (
    "你是一个电商客服专家，请根据用户与客服的多轮对话判断用户的意图分类标签。\n<用户与客服的对话 START>\n{dialogue}\n"
    "<用户与客服的对话 END>\n请直接只输出分类标签结果，不需要其他多余的话。以下是可以参考的分类标签为："
    '["反馈密封性不好","是否好用","是否会生锈","排水方式","包装区别","发货数量","反馈用后症状","商品材质","功效功能","是否易褪色",'
    '"适用季节","能否调光","版本款型区别","单品推荐","用法用量","控制方式","上市时间","商品规格","信号情况","养护方法","套装推荐",'
    '"何时上货","气泡"]\n'
)


@dataclass(frozen=True)
class Share:
    """How much of everything one split gets."""

    split: str
    screens_per_label: int
    dialogues_per_label: int


SHARES = (Share("train", 24, 36), Share("test", 6, 8))
SCREEN_QUALITY, PICTURE_QUALITY = 52, 50


@dataclass(frozen=True)
class Record:
    """One sample as the challenge writes it."""

    id: str
    instruction: str
    output: str
    image: list[str]
    input: str = field(default="")


def build(out: Path, seed: int) -> str:
    """Replaces the pictures and JSON files under `out`; returns a line that sums them up."""
    images = out / "images"
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    counts = []
    for share in SHARES:
        rng = random.Random(f"{seed}/{share.split}")
        records = [*_scene_records(rng, share, images), *_dialogue_records(rng, share, images)]
        rng.shuffle(records)
        words = json.dumps([_official(record) for record in records], ensure_ascii=False, indent=1)
        (out / f"{share.split}.json").write_text(words + "\n", encoding="utf-8")
        counts.append(f"{len(records)} {share.split} samples")
    files = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    return f"{', '.join(counts)}, {len(files)} files, {sum(files) / 1e6:.1f} MB in {out}"


def _official(record: Record) -> dict[str, object]:
    fields = asdict(record)
    return {name: fields[name] for name in ("id", "instruction", "input", "output", "image")}


def _hash(rng: random.Random) -> str:
    """A name that says nothing about what it names."""
    return hashlib.sha256(rng.randbytes(16)).hexdigest()[:16]


def _save(picture: Image.Image, path: Path, quality: int) -> None:
    picture.convert("RGB").save(path, "WEBP", quality=quality, method=6)


def _scene_records(rng: random.Random, share: Share, images: Path) -> list[Record]:
    records = []
    for scene in SCENES:
        makers = scene.makers(share.split)
        for i in range(share.screens_per_label):
            sample = _hash(rng)
            name = f"{sample}-0.webp"
            _save(makers[i % len(makers)](rng, share.split), images / name, SCREEN_QUALITY)
            records.append(Record(sample, IMAGE_PROMPT, scene.label, [name]))
    return records


def _dialogue_records(rng: random.Random, share: Share, images: Path) -> list[Record]:
    """Every dialogue has pictures of its own: samples that share one must stay in one fold."""
    dialogues = make_dialogues(rng, split=share.split, per_label=share.dialogues_per_label)
    return [_dialogue_record(rng, dialogue, images) for dialogue in dialogues]


def _dialogue_record(rng: random.Random, dialogue: Dialogue, images: Path) -> Record:
    sample = _hash(rng)
    lines = "\n".join(f"{speaker}: {text}" for speaker, text in dialogue.turns)
    names = [f"{sample}-{place}.webp" for place in range(len(dialogue.pictures))]
    for name, (kind, goods) in zip(names, dialogue.pictures, strict=True):
        _save(draw_picture(rng, kind=kind, goods=goods), images / name, PICTURE_QUALITY)
    return Record(sample, DIALOGUE_PROMPT.format(dialogue=lines), dialogue.label, names)
