"""Folds of a labelled set: stratified by label, twins kept together; which samples a panel was trained on."""

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mire.atomic_files import read_model, write_text
from mire.errors import DataError
from mire.images import content_hash
from mire.prompts import IMAGE_TAG
from mire.samples import Sample

LONG_ANSWER = 20
"""Characters from which an answer, or a whole dialogue, is long enough to be told from others."""
MAX_SHARED = 10
"""An answer that more dialogues share is boilerplate: it says nothing of one intent."""
NEAR_DUPLICATE = 0.7
_BLOCK = 512
"""Dialogues that are compared with all others at once."""


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: int
    digest: str


def make_folds(samples: Sequence[Sample], *, n_folds: int, seed: int) -> dict[str, int]:
    """The fold (0 to n_folds - 1) of each sample's id.

    Every label is spread over the folds as evenly as its count allows; a label with fewer samples than
    folds is missing from some. Twins stay in one fold.

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


def add_unseen(samples: Sequence[Sample], path: Path) -> None:
    """Add samples that no voter was trained on and the vote is fitted on: they are of no fold (-1).

    Raises:
        PanelError: the file is missing or broken.
    """
    known = {key: member.model_dump() for key, member in _read(path).items()}
    body = known | {sample.id: {"fold": -1, "digest": digest(sample)} for sample in samples}
    write_text(path, json.dumps(body, ensure_ascii=False, indent=0) + "\n")


def read_folds(path: Path) -> dict[str, int]:
    """The fold of each training sample's id.

    Raises:
        PanelError: the file is missing or broken.
    """
    return {key: member.fold for key, member in _read(path).items()}


def trained_on(path: Path, samples: Sequence[Sample]) -> dict[str, str]:
    """The samples that are among the training samples behind ``path``: the training id of each one's id.

    Only the content counts, whatever the id: a training sample under another id has been seen all the same.

    Raises:
        PanelError: the file is missing or broken.
    """
    members = _read(path)
    known = {member.digest: key for key, member in members.items()}
    found: dict[str, str] = {}
    for sample in samples:
        if (seen := digest(sample)) in known:
            same_id = sample.id in members and members[sample.id].digest == seen
            found[sample.id] = sample.id if same_id else known[seen]
    return found


def _read(path: Path) -> dict[str, _Member]:
    return read_model(path, dict[str, _Member], next_step="train the panel again")


def digest(sample: Sample) -> str:
    """16 hex digits of what a voter can see of a sample: its prompt and its pictures' bytes."""
    parts = [sample.prompt.text, *(content_hash(path) for path in sample.images)]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def twins(samples: Sequence[Sample]) -> Iterator[tuple[int, int, str]]:
    """Pairs of samples (indices) of which one gives the other's label away, with the reason; sparse, not every pair.

    They share a picture's bytes, or word for word an agent's answer of at least ``LONG_ANSWER`` characters that is no
    boilerplate, or their dialogues' texts have a cosine above ``NEAR_DUPLICATE`` (TF-IDF of 2- and 3-grams).
    """
    pictures = [[content_hash(path) for path in sample.images if path.is_file()] for sample in samples]
    yield from _sharing(pictures, "share a picture")
    answers = [[turn.text.strip() for turn in sample.turns if turn.speaker == "agent"] for sample in samples]
    long = [[text for text in texts if len(text) >= LONG_ANSWER] for texts in answers]
    counts = Counter(text for texts in long for text in set(texts))
    told = [[text for text in texts if counts[text] <= MAX_SHARED] for texts in long]
    yield from _sharing(told, "share an agent's long answer")
    yield from _near_duplicates(samples)


def _sharing(values: Sequence[Sequence[str]], reason: str) -> Iterator[tuple[int, int, str]]:
    """Each later owner of a value with its first one."""
    owners: dict[str, int] = {}
    for index, own in enumerate(values):
        for value in own:
            if (first := owners.setdefault(value, index)) != index:
                yield first, index, reason


def _near_duplicates(samples: Sequence[Sample]) -> Iterator[tuple[int, int, str]]:
    """Pairs of dialogues with almost the same text."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = ["\n".join(turn.text.replace(IMAGE_TAG, "") for turn in sample.turns) for sample in samples]
    rows = [index for index, text in enumerate(texts) if len(text.strip()) >= LONG_ANSWER]
    if len(rows) < 2:
        return
    grams = TfidfVectorizer(analyzer="char", ngram_range=(2, 3), sublinear_tf=True)
    found = grams.fit_transform([texts[row] for row in rows])
    for start in range(0, len(rows), _BLOCK):
        alike = (found[start : start + _BLOCK] @ found.T).tocoo()
        for left, right, cosine in zip(alike.row, alike.col, alike.data, strict=True):
            if start + left < right and cosine > NEAR_DUPLICATE:
                yield rows[start + left], rows[right], f"are alike (cosine {cosine:.2f})"


def _groups(samples: Sequence[Sample]) -> list[int]:
    """A number for each sample; twins, directly or through others, get the same."""
    parents = list(range(len(samples)))

    def root(index: int) -> int:
        while parents[index] != index:
            index = parents[index]
        return index

    for left, right, _ in twins(samples):
        parents[root(right)] = root(left)
    return [root(index) for index in range(len(samples))]
