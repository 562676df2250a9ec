"""Learn from unlabelled samples too: guess their labels, keep the surest of each class, train again.

    python -m ensemble.pseudo_label --data train.json --unlabelled test.json --images images --panel runs/p \\
        --out runs/p2

A task whose out-of-fold F1 falls keeps its old experts, so the new panel is never the worse one on the labelled
folds. The guesses come from voters that knew all labels, which flatters the new figure a little: a rise within
its interval is no proof.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ensemble.ablate import judge
from ensemble.evidence import gather
from ensemble.panel import Panel, by_task
from ensemble.train import train_panel
from mire.budget import Ledger
from mire.cli import add_data, parser, run, say
from mire.errors import DataError
from mire.folds import trained_on
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.samples import Sample, read_samples
from mire.votes import Prediction

MIN_PROBABILITY = 0.5
"""A guess below it is never kept."""


def confident(predictions: Sequence[Prediction], share: float) -> list[Prediction]:
    """The surest ``share`` of the guesses of each label, rounded up, that reach ``MIN_PROBABILITY``.

    By label, because a common threshold would keep the easy labels only. Degraded predictions are left out.
    """
    by_label: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        if not prediction.problems:
            by_label[prediction.label].append(prediction)
    kept: list[Prediction] = []
    for guesses in by_label.values():
        guesses.sort(key=lambda guess: -max(guess.probabilities))
        n_kept = -int(-len(guesses) * share // 1)
        kept += [guess for guess in guesses[:n_kept] if max(guess.probabilities) >= MIN_PROBABILITY]
    return kept


def write_pseudo_labels(path: Path, samples: Sequence[Sample], guesses: Sequence[Prediction], images: Path) -> None:
    """Write the samples that were guessed, in the official format, their guess as the label."""
    labels = {guess.sample_id: guess.label for guess in guesses}
    records = [
        {"id": sample.id, "instruction": sample.prompt.text, "input": "", "output": labels[sample.id],
         "image": [str(picture.relative_to(images)) for picture in sample.images]}
        for sample in samples
        if sample.id in labels
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def pseudo_label(data: Path, unlabelled: Path, images: Path, panel: Path, out: Path, *, share: float) -> None:
    """Train the panel ``out`` from ``panel``'s guesses; see the module's docstring.

    Raises:
        DataError, PanelError: a file or folder does not fit, or ``out`` is already there.
    """
    if out.exists():
        raise DataError(f"{out} is already there; a new panel needs a new folder")
    old, new = PanelFolder(panel), PanelFolder(out)
    groups = by_task(read_samples(unlabelled, images))
    guessing = Panel.load(panel, tuple(groups))
    new.claim(old.settings())
    for task, members in groups.items():
        known = trained_on(old.folds(task), members)
        fresh = [sample for sample in members if sample.id not in known]
        guesses = confident(guessing.predict(fresh, Ledger()), share) if fresh else []
        write_pseudo_labels(new.pseudo(task), fresh, guesses, images)
        say(f"{task}: {len(guesses)} of {len(fresh)} unlabelled samples get a label")
    tasks: tuple[Task, ...] = tuple(groups)
    train_panel(tasks, data=data, images=images, panel=new, settings=old.settings())
    samples = by_task(read_samples(data, images))
    for task in tasks:
        keep_the_better(task, samples[task], old, new)


def keep_the_better(task: Task, samples: Sequence[Sample], old: PanelFolder, new: PanelFolder) -> None:
    """The guard: put a task's old experts back where its out-of-fold F1 fell."""
    before, after = (_out_of_fold_f1(samples, folder.root) for folder in (old, new))
    if after >= before:
        say(f"{task}: out-of-fold F1 {before:.3f} before, {after:.3f} after: the new experts stay")
        return
    shutil.rmtree(new.task(task))
    shutil.copytree(old.task(task), new.task(task))
    say(f"{task}: out-of-fold F1 {before:.3f} before, {after:.3f} after: the old experts are put back")


def _out_of_fold_f1(samples: Sequence[Sample], panel: Path) -> float:
    (evidence,) = gather(samples, panel)
    return float(judge(evidence, tuple(evidence.votes)).figures["f1"])


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.pseudo_label", "Train a panel again, on its surest guesses besides.")
    add_data(options)
    options.add_argument("--unlabelled", type=Path, required=True, help="file of the samples to guess")
    options.add_argument("--panel", type=Path, required=True, help="the panel that guesses")
    options.add_argument("--out", type=Path, required=True, help="folder of the new panel")
    options.add_argument("--share", type=float, default=0.5, help="share of each label's guesses that is kept")
    chosen = options.parse_args(argv)
    if not 0 < chosen.share <= 1:
        options.error(f"--share must be above 0 and at most 1, got {chosen.share}")
    pseudo_label(chosen.data, chosen.unlabelled, chosen.images, chosen.panel, chosen.out, share=chosen.share)


if __name__ == "__main__":
    raise SystemExit(run(main))
