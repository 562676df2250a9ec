"""Drafts of questions and answers for each label, from its name and description, for a person to edit.

No language model writes them: they are the description's clauses, the made-up turns that the project has for labels of
the challenge, and a few frames around both. Nothing of an example goes in: its copies would be learned in every fold,
and the fold that holds it back would tell nothing.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from experts.dialogue_text.synthetic_turns import known_turns
from mire.atomic_files import atomic_write
from mire.errors import DataError, quoted, some
from mire.labels import Draft, Label, Taxonomy
from mire.tables.files import table_rows

_HEADER = ("label", "speaker", "text")
_BETWEEN_CLAUSES = re.compile(r"[,;.!?:、，。；！？：\n]|\bor\b|\band\b|或者|以及")
_OPENINGS = (
    re.compile(r"^(?:the |a )?(?:customer|user|shopper|buyer)\s+|^(?:用户|顾客|买家|客户)"),
    re.compile(r"^(?:asks?|wants?|needs?) (?:for |about |whether |if |to )?"),
    re.compile(r"^(?:想要|想|需要|要求|要|询问|咨询|问|希望)"),
)
_ZH_FRAMES = (
    ("{}", "请问{}", "你好，{}"),
    ("我想{}", "怎么{}"),
    ("您好，关于{}，马上为您处理", "{}的问题我帮您看一下"),
)
_EN_FRAMES = (("{}", "hi, {}"), ("I have a question: {}", "can you help with {}"), ("about {}: let me check",))
"""What a customer says of the name and of each clause, what of the name alone, and what an agent says of the name."""
MAX_CLAUSES = 4


def write_drafts(taxonomy: Taxonomy, path: Path) -> int:
    """Write the drafts as CSV (label, speaker, text); returns their number."""
    rows = [(label.name, draft.speaker, draft.text) for label in taxonomy.live for draft in drafts_for(label)]
    with atomic_write(path, encoding="utf-8-sig") as file:
        csv.writer(file, lineterminator="\n").writerows([_HEADER, *rows])
    return len(rows)


def drafts_for(label: Label) -> list[Draft]:
    """Questions, then answers, each once; of a label of the challenge the turns that are known for it."""
    known = known_turns(label.name)
    found = [Draft(speaker=side, text=text) for side, texts in known.items() for text in texts]
    return found or list(dict.fromkeys(_framed(label)))


def _framed(label: Label) -> Iterator[Draft]:
    chinese = re.search("[\u4e00-\u9fff]", f"{label.name}{label.description}")
    of_all, of_name, answers = _ZH_FRAMES if chinese else _EN_FRAMES
    topics = [label.name, *_clauses(label.description)]
    yield from (Draft(speaker="user", text=frame.format(topic)) for topic in topics for frame in of_all)
    yield from (Draft(speaker="user", text=frame.format(label.name)) for frame in of_name)
    yield from (Draft(speaker="agent", text=frame.format(label.name)) for frame in answers)


def _clauses(description: str) -> list[str]:
    """What the customer says, by the description's parts: 用户要发票，问什么时候开 gives 发票 and 什么时候开."""
    parts = [part.strip() for part in _BETWEEN_CLAUSES.split(description.lower())]
    for opening in _OPENINGS:
        parts = [opening.sub("", part).strip() for part in parts]
    return [part for part in parts if len(part) > 1][:MAX_CLAUSES]


def read_drafts(path: Path, labels: Sequence[str]) -> dict[str, tuple[Draft, ...]]:
    """Edited drafts by label.

    Raises:
        DataError: the file has other columns, or names a label or a speaker that is not known.
    """
    rows = list(table_rows(path))
    if not rows or tuple(rows[0][1]) != _HEADER:
        raise DataError(f"{path} must have the columns {', '.join(_HEADER)}, as mire labels suggest writes them")
    known, found = set(labels), dict[str, list[Draft]]()
    for number, cells in rows[1:]:
        if len(cells) != len(_HEADER) or cells[0] not in known or cells[1] not in ("user", "agent"):
            raise DataError(
                f"{path}: row {number} must be a label ({some(labels)}), user or agent, and a text, got {quoted(cells)}"
            )
        label, speaker, text = cells
        found.setdefault(label, []).append(Draft.model_validate({"speaker": speaker, "text": text}))
    return {label: tuple(drafts) for label, drafts in found.items()}
