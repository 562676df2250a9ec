"""Prompts in the official frames, and a picture, for tests."""

import io
import json

from PIL import Image

from mire.labels import builtin_taxonomy
from mire.prompts import DIALOGUE_END, OFFICIAL_DIALOGUE_HEAD, OFFICIAL_IMAGE_HEAD


def png(width: int = 60, height: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def image_instruction() -> str:
    labels = json.dumps(builtin_taxonomy("image").printed, ensure_ascii=False)
    return f"{OFFICIAL_IMAGE_HEAD},请对图片进行分类。分类标签:{labels}。"


def dialogue_instruction(*lines: str) -> str:
    said = "".join(f"{line}\n" for line in lines)
    labels = json.dumps(builtin_taxonomy("dialogue").printed, ensure_ascii=False)
    return f"{OFFICIAL_DIALOGUE_HEAD}{said}{DIALOGUE_END}\n请直接只输出分类标签结果。分类标签为：{labels}\n"
