"""A taxonomy, a configuration and a file of examples from a table or a plain list of labels."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ensemble.labels.suggest import read_drafts
from experts.registry import VOTERS
from mire.atomic_files import atomic_write, write_text
from mire.errors import DataError, SettingsError, quoted, some
from mire.labels import TASKS, Label, Task, Taxonomy, load_taxonomy, save_taxonomy
from mire.settings import load_settings, read_yaml
from mire.tables.columns import squeezed
from mire.tables.files import table_rows

ALIKE = 0.5
"""Cosine of two labels' character n-grams from which on a person is asked what tells them apart."""
_COLUMNS = {
    "name": "name label intent category class scene 名称 标签 标签名 意图 类别 场景",
    "description": "description desc definition meaning explanation 描述 说明 定义 含义 解释",
    "gloss": "gloss english translation 英文 英文名 翻译",
    "examples": "example examples sample samples utterances 示例 例子 例句 样例 例",
}
_KINDS = {name: kind for kind, names in _COLUMNS.items() for name in names.split()}
_BETWEEN_EXAMPLES = re.compile(r"[|\n]")


@dataclass(frozen=True)
class NamedLabel:
    """A label of the list, and its examples: what a customer says, or the names of pictures."""

    label: Label
    examples: tuple[str, ...] = ()


def make_configuration(source: Path, task: Task, out: Path, *, drafts: Path | None = None) -> Iterator[str]:
    """Write ``TASK.json``, ``config.yaml`` and, where there are examples, ``examples.csv``; yield what a person reads.

    A configuration that is there already keeps its other entries.

    Raises:
        DataError: the list cannot be read, or a row has no name.
        SettingsError: two labels share a name, there are fewer than two, or the configuration is invalid.
    """
    named = read_labels(source)
    written = read_drafts(drafts, [each.label.name for each in named]) if drafts else {}
    labels = [each.label.model_copy(update={"drafts": written.get(each.label.name, ())}) for each in named]
    out.mkdir(parents=True, exist_ok=True)
    save_taxonomy(Taxonomy(task, tuple(labels)), out / f"{task}.json")
    load_taxonomy(out / f"{task}.json")  # refuses what is no taxonomy
    config = _write_configuration(out, task)
    n_examples = _write_examples(named, task, out / "examples.csv")
    yield f"{len(labels)} labels in {out / f'{task}.json'}, the configuration in {config}"
    if bare := [label.name for label in labels if not label.description]:
        yield f"without a description: {some(bare)}; one sentence each makes answers without examples better"
    for left, right, cosine in alike(labels):
        yield f"{left} and {right} read alike ({cosine:.2f}): describe what differs"
    yield from _missing_voters(config, task)
    data = f" --data {out / 'examples.csv'}" if n_examples else ""
    yield f"{n_examples} examples; next: mire train {task} --config {config}{data} --panel runs/{out.name}"


def read_labels(source: Path) -> list[NamedLabel]:
    """The labels in the list's order.

    A table has a column for the name and others as ``_COLUMNS`` knows them; without such a column the file is a plain
    list, one name per row, a description after it if there is a second cell.

    Raises:
        DataError: the file cannot be read, or a row has no name.
    """
    rows = list(table_rows(source))
    if not rows:
        raise DataError(f"{source} holds no label")
    kinds = [_KINDS.get(squeezed(name).rstrip("0123456789")) for name in rows[0][1]]
    if "name" in kinds:
        rows = rows[1:]
    else:
        kinds = ["name", "description"]
    return [_label(cells, kinds, f"{source}: row {number}") for number, cells in rows]


def _label(cells: Sequence[str], kinds: Sequence[str | None], where: str) -> NamedLabel:
    found: dict[str, list[str]] = {}
    for kind, cell in zip(kinds, cells, strict=False):
        if kind and cell:
            found.setdefault(kind, []).append(cell)
    if "name" not in found:
        raise DataError(f"{where}: a label needs a name")
    if len(found["name"]) > 1:
        raise DataError(f"{where}: two columns hold the name, {quoted(found['name'])}; rename all but one")
    words = {kind: " ".join(found.get(kind, ())) for kind in ("name", "gloss", "description")}
    examples = [text.strip() for cell in found.get("examples", ()) for text in _BETWEEN_EXAMPLES.split(cell)]
    return NamedLabel(Label(**words), tuple(filter(None, examples)))


def alike(labels: Sequence[Label]) -> list[tuple[str, str, float]]:
    """Pairs of labels whose name, gloss and description share most of their characters, the most alike first."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [f"{label.name} {label.gloss} {label.description}" for label in labels]
    found = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True).fit_transform(texts)
    cosines = (found @ found.T).toarray()
    names = [label.name for label in labels]
    pairs = [
        (names[left], names[right], float(cosines[left, right])) for right in range(len(names)) for left in range(right)
    ]
    return sorted((pair for pair in pairs if pair[2] >= ALIKE), key=lambda pair: -pair[2])


def _write_configuration(out: Path, task: Task) -> Path:
    """Name the task's labels in the folder's configuration, which is made where there is none."""
    path = out / "config.yaml"
    body: dict[str, Any] = read_yaml(path.read_text("utf-8", "replace"), str(path)) if path.is_file() else _new(out)
    if not isinstance(body, dict):
        raise SettingsError(f"{path} is no configuration; delete it, or name another folder with --out")
    body["taxonomies"] = {**(body.get("taxonomies") or {}), task: f"{task}.json"}
    write_text(path, yaml.safe_dump(body, allow_unicode=True, sort_keys=False))
    load_settings(str(path))
    return path


def _new(out: Path) -> dict[str, Any]:
    """The voters of ``cpu``, and those that learn from descriptions."""
    panel = load_settings("cpu").panel
    describing = [row for row in VOTERS.values() if row.describes]
    voters = {
        task: list(dict.fromkeys([*panel.voters(task), *(row.name for row in describing if task in row.tasks)]))
        for task in TASKS
    }
    return {"name": out.resolve().name, "panel": voters}


def _write_examples(named: Sequence[NamedLabel], task: Task, path: Path) -> int:
    """The examples as a table that ``--data`` takes; an old one goes. Returns their number."""
    rows = [(text, each.label.name) for each in named for text in each.examples]
    path.unlink(missing_ok=True)
    if rows:
        with atomic_write(path, encoding="utf-8-sig") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([("text" if task == "dialogue" else "image", "label"), *rows])
    return len(rows)


def _missing_voters(config: Path, task: Task) -> Iterator[str]:
    """What is to be installed before the labels' descriptions are learned from."""
    settings = load_settings(str(config))
    for name in settings.panel.voters(task):
        if VOTERS[name].describes:
            checks = VOTERS[name].resolve().weights_checks(settings.stage(name))
            yield from (f"{check.text}: {check.fix}" for check in checks if check.fix)
