"""The labels that a panel doubts most."""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.held_out_votes import HeldOutVotes, collect_held_out_votes
from ensemble.panel import by_task
from ensemble.report.language import Language, environment, texts
from ensemble.voting.pooling import Array
from experts.shown import Shown, shown
from mire.atomic_files import write_text
from mire.errors import MireError, missing_package
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.privacy.masking import Hide, mask
from mire.privacy.pictures import Corners
from mire.privacy.thumbnails import Thumbnails
from mire.samples import Sample

logger = logging.getLogger(__name__)

N_SHOWN = 40
"""Doubted samples of each task that the page shows; ``audit.json`` holds all."""

N_GUESSES = 3

FLIPPED, N_REPEATS = 0.05, 10
"""Share of the labels that are flipped to measure the list's precision, and how often."""

_PICTURE_PIXELS, _MAX_BYTES = (460, 820), 12_000_000
"""Larger than in the report: whoever decides on a label must be able to read the screen."""


@dataclass(frozen=True)
class Doubt:
    """A label that the panel would not give: ``quality`` in [0, 1] is its probability for it, low is doubtful.

    ``guesses`` are the panel's own first labels with their probabilities; ``convention`` says why the given
    label may be right all the same (empty where the taxonomy names none). ``turns`` and ``hidden`` as in ``Shown``.
    """

    id: str
    task: Task
    label: str
    quality: float
    guesses: tuple[tuple[str, float], ...]
    convention: str
    images: tuple[str, ...]
    hidden: tuple[tuple[Corners, ...] | None, ...]
    turns: tuple[tuple[str, str], ...]


def audit(held_out: HeldOutVotes, *, hide: Hide = mask) -> list[Doubt]:
    """The labels that cleanlab takes for wrong (pruning by noise rate), the most doubtful first.

    Raises:
        MireError: cleanlab is not installed.
    """
    pooled = held_out.pooled(tuple(held_out.votes))
    quality = pooled[np.arange(len(pooled)), held_out.truth]
    rows = _listed(held_out.truth, pooled)
    seen = shown([held_out.samples[row] for row in rows], held_out.votes, hide)
    return [
        _doubt(held_out, row, float(quality[row]), pooled[row].tolist(), sample)
        for row, sample in zip(rows, seen, strict=True)
    ]


def precision(held_out: HeldOutVotes) -> float:
    """The share of listed labels that are wrong where ``FLIPPED`` of them are, flipped at random; NaN if none is.

    The voters learned from unflipped labels, which flatters the figure a little; a listed label that was wrong before
    counts as a false alarm, which lowers it.
    """
    pooled = held_out.pooled(tuple(held_out.votes))
    n, n_labels = pooled.shape
    rng = np.random.default_rng(0)
    n_listed = n_true = 0
    for _ in range(N_REPEATS):
        flipped = rng.choice(n, max(1, round(FLIPPED * n)), replace=False)
        truth = held_out.truth.copy()
        truth[flipped] = (truth[flipped] + rng.integers(1, n_labels, len(flipped))) % n_labels
        listed = _listed(truth, pooled)
        n_listed, n_true = n_listed + len(listed), n_true + len(set(listed) & set(flipped.tolist()))
    return n_true / n_listed if n_listed else float("nan")


def _listed(truth: NDArray[np.int64], pooled: Array) -> list[int]:
    """The rows that cleanlab lists for labels (n,) and the panel's probabilities (n, n_labels)."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise MireError(missing_package("an audit", "cleanlab", "audit")) from error
    with warnings.catch_warnings():
        # It warns of every label with few samples: a short list is what is wanted there.
        warnings.simplefilter("ignore", UserWarning)
        return list(map(int, find_label_issues(truth, pooled, return_indices_ranked_by="self_confidence", n_jobs=1)))


def _doubt(held_out: HeldOutVotes, row: int, quality: float, probabilities: Sequence[float], seen: Shown) -> Doubt:
    sample = held_out.samples[row]
    guesses = held_out.taxonomy.top(probabilities, N_GUESSES)
    conventions = {entry.name: entry.convention for entry in held_out.taxonomy.entries}
    return Doubt(
        id=sample.id,
        task=held_out.task,
        label=str(sample.label),
        quality=quality,
        guesses=tuple((guess.name, probability) for guess, probability in guesses),
        convention=conventions[str(sample.label)],
        images=tuple(map(str, sample.images)),
        hidden=seen.hidden,
        turns=seen.turns,
    )


def told(precision: float) -> str:
    """A list's ``precision`` in words."""
    known = (
        "nothing is listed"
        if np.isnan(precision)
        else f"about {10 * precision:.0f} of 10 listed labels are flipped ones"
    )
    return f"where {100 * FLIPPED:.0f} % of the labels are flipped at random, {known}"


def render(
    doubts: dict[Task, list[Doubt]],
    n_samples: dict[Task, int],
    precisions: Mapping[Task, float] = MappingProxyType({}),
    language: Language = "en",
) -> str:
    """The page: one file without links, every text escaped."""
    known = texts(language)
    tasks = {
        task: {
            "n": n_samples[task],
            "found": len(found),
            "flipped": f"{100 * FLIPPED:.0f}",
            "right_of_ten": None if np.isnan(rate := precisions.get(task, np.nan)) else f"{10 * rate:.0f}",
            "open": [doubt for doubt in found if not doubt.convention][:N_SHOWN],
            "conventional": [doubt for doubt in found if doubt.convention][:N_SHOWN],
            "conventions": dict.fromkeys(known.get(text, text) for doubt in found if (text := doubt.convention)),
        }
        for task, found in doubts.items()
    }
    page = environment("ensemble.evaluation", language).get_template("audit_template.html")
    return page.render(tasks=tasks, thumbnail=Thumbnails(_MAX_BYTES, _PICTURE_PIXELS))


def write_audit(
    samples: Sequence[Sample], panel: Path, out: Path, *, hide: Hide = mask, language: Language = "en"
) -> dict[Task, list[Doubt]]:
    """Audit labelled samples; writes both files into ``out``.

    Raises:
        DataError, PanelError: as ``collect_held_out_votes``.
    """
    held_out = collect_held_out_votes(by_task(samples, PanelFolder(panel).taxonomies()), panel)
    doubts = {part.task: audit(part, hide=hide) for part in held_out}
    precisions = {part.task: precision(part) for part in held_out}
    for task, value in precisions.items():
        logger.info(f"{task}: {told(value)}")
    page = render(doubts, {part.task: len(part.samples) for part in held_out}, precisions, language)
    listed = [asdict(doubt) for found in doubts.values() for doubt in found]
    write_text(out / "audit.json", json.dumps(listed, ensure_ascii=False, indent=1) + "\n")
    write_text(out / "audit.html", page)
    return doubts
