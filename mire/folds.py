"""Folds of a labelled set: by label, pictures that samples share kept together."""

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mire.atomic_files import read_model, write_text
from mire.errors import DataError
from mire.images import content_hash
from mire.samples import Sample


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: int
    digest: str


def make_folds(samples: Sequence[Sample], *, n_folds: int, seed: int) -> dict[str, int]:
    """The fold (0 to n_folds - 1) of each sample's id.

    Every label is spread over the folds as evenly as its count allows; a label with fewer samples than
    folds is missing from some. Samples that share a picture's bytes stay in one fold.

    Raises:
        DataError: no label has as many samples as there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels = [str(sample.label) for sample in samples]
    most = max(Counter(labels).values(), default=0)
    if most < n_folds:
        raise DataError(
            f"{n_folds} folds need a label with at least {n_folds} samples, the commonest has {most}; label more, or "
            "lower 'folds' in the settings"
        )
    splitter = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    folds: dict[str, int] = {}
    with warnings.catch_warnings():
        # It warns of labels with fewer samples than folds: that is said above, and meant.
        warnings.simplefilter("ignore", UserWarning)
        splits = list(splitter.split(labels, labels, _groups(samples)))
    for fold, (_, held_out) in enumerate(splits):
        folds.update({samples[index].id: fold for index in held_out})
    return folds


def write_folds(folds: dict[str, int], samples: Sequence[Sample], path: Path) -> None:
    """Write each training sample's fold and digest as JSON."""
    body = {sample.id: {"fold": folds[sample.id], "digest": digest(sample)} for sample in samples}
    write_text(path, json.dumps(body, ensure_ascii=False, indent=0) + "\n")


def read_folds(path: Path) -> dict[str, int]:
    """The fold of each training sample's id.

    Raises:
        PanelError: the file is missing or broken.
    """
    return {key: member.fold for key, member in _read(path).items()}


def trained_on(path: Path, samples: Sequence[Sample]) -> set[str]:
    """Ids of the samples that are among the training samples behind ``path``: same id, same content.

    Raises:
        PanelError: the file is missing or broken.
    """
    known = _read(path)
    return {sample.id for sample in samples if sample.id in known and digest(sample) == known[sample.id].digest}


def _read(path: Path) -> dict[str, _Member]:
    return read_model(path, dict[str, _Member], next_step="train the panel again")


def digest(sample: Sample) -> str:
    """16 hex digits of what a voter can see of a sample: its prompt and its pictures' bytes."""
    parts = [sample.prompt.text, *(content_hash(path) for path in sample.images)]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _groups(samples: Sequence[Sample]) -> list[int]:
    """A number for each sample; samples that share a picture, directly or through others, get the same."""
    parents = list(range(len(samples)))

    def root(index: int) -> int:
        while parents[index] != index:
            index = parents[index]
        return index

    owners: dict[str, int] = {}
    for index, sample in enumerate(samples):
        for path in sample.images:
            if path.is_file():
                parents[root(index)] = root(owners.setdefault(content_hash(path), index))
    return [root(index) for index in range(len(samples))]
