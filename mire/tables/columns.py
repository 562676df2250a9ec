"""Which column of a table, or which key of a plain record, holds the text, the pictures, the label and the id."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mire.errors import DataError, quoted, shortened

_NAMES: dict[str, str] = {
    "id": "id sampleid rowid uuid conversationid dialogueid sessionid chatid ticketid "
    "编号 序号 样本编号 会话编号 对话编号 会话id 对话id 工单号",
    "text": "text utterance sentence message content query question dialogue dialog conversation chat chatlog "
    "transcript 文本 内容 正文 句子 语料 消息 问题 提问 用户问题 用户消息 用户输入 咨询内容 "
    "对话 对话内容 会话 会话内容 聊天 聊天内容 聊天记录",
    "image": "image images picture pictures photo photos img screenshot screenshots imagepath filename file "
    "图片 图片名 图片路径 图片文件 图像 截图 照片 文件 文件名",
    "label": "label labels intent category class tag output 标签 意图 类别 分类 类目 场景 标注",
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names.split()}
_SEPARATORS = re.compile(r"[;；|\n]")


@dataclass(frozen=True)
class Columns:
    """The names of the columns of each kind; None for a kind that the table lacks."""

    id: str | None = None
    text: str | None = None
    image: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        found = ((kind, getattr(self, kind)) for kind in ("text", "image", "label"))
        return ", ".join(f"{kind} from column {quoted(name)}" if name else f"no {kind} column" for kind, name in found)


@lru_cache
def find_columns(names: tuple[str, ...]) -> Columns:
    """Recognise columns by their names, in English or Chinese; case, blanks, hyphens and underscores do not matter.

    A column that is named by the kind itself (id, text, image, label) goes before others that could hold it.

    Raises:
        DataError: none holds text or pictures, or two could hold the same.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        if role := _ROLES.get(squeezed(name)):
            found.setdefault(role, []).append(name)
    for role, several in found.items():
        found[role] = [name for name in several if squeezed(name) == role] or several
        if len(found[role]) > 1:
            raise DataError(f"{' and '.join(map(quoted, several))} could each be the {role}; name the right one {role}")
    if not found.keys() & {"text", "image"}:
        raise DataError(
            f"no column holds text or pictures; its columns are {shortened(', '.join(names))}: name one text "
            "(what the customer wrote, or the chat) or image (the picture's file name), and the answers' label"
        )
    return Columns(**{role: name for role, (name,) in found.items()})


def squeezed(name: str) -> str:
    """A column's name without blanks, hyphens, underscores and upper case."""
    return re.sub(r"[\s_-]", "", name).casefold()


def picture_names(cell: Any) -> list[str]:
    """The file names in a cell: one, several between semicolons, bars or line breaks, or a JSON list; or a list's own.

    Raises:
        DataError: it is neither text nor a list of texts.
    """
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):  # no list after all
            cell = [cell]
    names = _SEPARATORS.split(cell) if isinstance(cell, str) else cell or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"picture names must be text or a list of texts, got {quoted(cell)}")
    return [name.strip() for name in names if name.strip()]


def cell_text(record: Mapping[str, Any], column: str | None) -> str:
    """A cell's text; empty where the column or the value is missing.

    Raises:
        DataError: it is neither text nor a number.
    """
    value = record.get(column) if column else None
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{column!r} must be a string, got {type(value).__name__}")
    return str(value)
