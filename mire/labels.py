"""Taxonomies: the closed, ordered set of labels of each task, kept as data files."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from mire.atomic_files import write_text
from mire.errors import SettingsError

Task = Literal["image", "dialogue"]
TASKS: tuple[Task, ...] = ("image", "dialogue")
MAX_LABELS = 2000
"""Of a task: every two labels are compared."""


class Draft(BaseModel):
    """A made-up turn of a label, as ``mire labels suggest`` drafts them; learned from at low weight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speaker: Literal["user", "agent"]
    text: str


class Label(BaseModel):
    """One label: its name as in the challenge, an English gloss, a description, and whether it is live.

    ``convention`` says where the label is used differently from what a reader would expect. A label that is not
    live is listed in prompts but never predicted. ``drafts`` are made-up turns to learn from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    gloss: str = ""
    description: str = ""
    convention: str = ""
    live: bool = True
    drafts: tuple[Draft, ...] = ()


class _TaxonomyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: Task
    labels: tuple[Label, ...]

    @model_validator(mode="after")
    def _check(self) -> "_TaxonomyFile":
        names = [label.name for label in self.labels]
        if len(names) > MAX_LABELS:
            raise ValueError(f"a taxonomy may have {MAX_LABELS} labels, got {len(names)}")
        double = sorted(name for name, n in Counter(names).items() if n > 1)
        if double:
            raise ValueError(f"label names must be unique, {', '.join(double)} occur more than once")
        if not all(name.strip() for name in names):
            raise ValueError("label names must not be empty")
        if sum(label.live for label in self.labels) < 2:
            raise ValueError("a taxonomy needs at least two live labels")
        return self


@dataclass(frozen=True)
class Taxonomy:
    """The labels of one task, in the order in which the official prompt prints them."""

    task: Task
    entries: tuple[Label, ...]

    @cached_property
    def live(self) -> tuple[Label, ...]:
        """The labels that can be answered; probabilities are in this order."""
        return tuple(entry for entry in self.entries if entry.live)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the live labels."""
        return tuple(entry.name for entry in self.live)

    def top(self, probabilities: Sequence[float], n: int) -> list[tuple[Label, float]]:
        """The ``n`` most probable labels with their probabilities; of equal ones the first in the taxonomy's order."""
        return sorted(zip(self.live, probabilities, strict=True), key=lambda pair: -pair[1])[:n]

    @cached_property
    def printed(self) -> tuple[str, ...]:
        """Names of all labels, including those that are not live, as a prompt lists them."""
        return tuple(entry.name for entry in self.entries)

    def without_drafts(self) -> "Taxonomy":
        """The same labels without made-up turns."""
        return Taxonomy(self.task, tuple(entry.model_copy(update={"drafts": ()}) for entry in self.entries))

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that change with any live label's name or position."""
        return hashlib.sha256("\n".join((self.task, *self.labels)).encode()).hexdigest()[:12]

    def index(self, label: str) -> int:
        """Index of a live label.

        Raises:
            KeyError: the label is unknown or not live.
        """
        return self._indices[label]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.labels)}

    def __contains__(self, label: object) -> bool:
        return label in self._indices


def load_taxonomy(path: Path) -> Taxonomy:
    """Read a taxonomy file: ``{"task": ..., "labels": [{"name", "gloss", "description", "convention", "live"}]}``."""
    return _parse(path.read_text(encoding="utf-8-sig", errors="replace"), str(path))


@lru_cache
def builtin_taxonomy(task: Task) -> Taxonomy:
    """The challenge's own taxonomy of ``task``."""
    source = resources.files("mire").joinpath("data", "taxonomy", f"{task}.json")
    return _parse(source.read_text(encoding="utf-8"), f"{task}.json")


def save_taxonomy(taxonomy: Taxonomy, path: Path) -> None:
    """Write the file that ``load_taxonomy`` reads."""
    labels = [entry.model_dump(exclude_defaults=True) for entry in taxonomy.entries]
    body = json.dumps({"task": taxonomy.task, "labels": labels}, ensure_ascii=False, indent=1)
    write_text(path, body + "\n")


def _parse(text: str, name: str) -> Taxonomy:
    try:
        parsed = _TaxonomyFile.model_validate_json(text)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise SettingsError(f"{name} is not a taxonomy: {faults}") from error
    return Taxonomy(task=parsed.task, entries=parsed.labels)
