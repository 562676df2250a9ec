"""F1 against the number of labelled examples per label: today's voter, the embeddings alone, and both as a panel.

    python -m scripts.benchmarks.few_examples --data train.json --images images [--task dialogue] [--draws 6]

``dialogue_text`` gets neither the lexicon nor synthetic turns: nobody has written any for one's own labels. A draw
holds a third of the samples out, twins together, and learns from so many of every label, or as many as are left.
One line per task and number of examples, with the mean of the draws' weighted F1 and its standard deviation.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mire.budget import Cost
from mire.cli import add_overrides, run
from mire.folds import make_folds
from mire.labels import TASKS, Task
from mire.metrics import scores
from mire.samples import Sample
from mire.settings import Settings, load_settings

if TYPE_CHECKING:
    from ensemble.voting.pooling import Array
    from ensemble.voting.weights import Weights

EXAMPLES = (0, 1, 2, 3, 5, 8)
TODAY: dict[Task, str] = {"image": "screen_text", "dialogue": "dialogue_text"}
NEW = "text_embedding"
_UNWRITTEN = (
    "dialogue_text.template_weight=0",
    "dialogue_text.turn_weight=0",
    "dialogue_text.phrase_weights={question: 0, earlier: 0, answer: 0, earlier_answers: 0}",
)


def draw(samples: Sequence[Sample], n_each: int, *, seed: int) -> tuple[list[Sample], list[Sample]]:
    """At most ``n_each`` samples of every label to learn from, and the third to test on, the same for each number."""
    from ensemble.evaluation.learning_curve import first_of_each

    folds = make_folds(samples, n_folds=3, seed=seed)
    known = [sample for sample in samples if folds[sample.id]]
    return first_of_each(known, n_each, seed=seed), [sample for sample in samples if not folds[sample.id]]


def judged(task: Task, settings: Settings, few: Sequence[Sample], test: Sequence[Sample]) -> dict[str, float]:
    """Weighted F1 of each voter and of the panel; where no example can be held out, that is the new voter alone."""
    labels, truth = settings.taxonomy(task).labels, [str(sample.label) for sample in test]
    n_each = max(Counter(sample.label for sample in few).values(), default=0)
    names = (TODAY[task], NEW) if few else (NEW,)
    votes = {name: _votes(name, task, settings, few, test) for name in names}
    if n_each > 1:
        few_folds = settings.model_copy(update={"folds": min(n_each, settings.folds)})
        votes["panel"] = _fitted(task, few_folds, few, names).pool(votes)
    else:
        votes["panel"] = votes[NEW]
    return {name: scores(truth, [labels[best] for best in rows.argmax(axis=1)]).f1 for name, rows in votes.items()}


def _votes(name: str, task: Task, settings: Settings, few: Sequence[Sample], test: Sequence[Sample]) -> "Array":
    """Shape (len(test), n_labels); equal probabilities where the voter abstains."""
    from experts.registry import train_voter

    taxonomy = settings.taxonomy(task)
    cast = train_voter(name, few, taxonomy=taxonomy, settings=settings).vote(test)
    return np.array(
        [vote.probabilities if vote else np.full(len(taxonomy.labels), 1 / len(taxonomy.labels)) for vote in cast]
    )


def _fitted(task: Task, settings: Settings, few: Sequence[Sample], names: Sequence[str]) -> "Weights":
    """The vote's weights from out-of-fold votes, as training fits them."""
    from ensemble.voting.fitting import fit_weights
    from ensemble.voting.oof_votes import OutOfFoldVotes

    folds = make_folds(few, n_folds=settings.folds, seed=settings.seed)
    parts = [
        ([each for each in few if folds[each.id] != fold], [each for each in few if folds[each.id] == fold])
        for fold in range(settings.folds)
    ]
    held_out = [each for _, part in parts for each in part]
    votes = {name: np.vstack([_votes(name, task, settings, *part) for part in parts if part[1]]) for name in names}
    truth = np.array([settings.taxonomy(task).index(str(each.label)) for each in held_out])
    costs = dict.fromkeys(names, Cost(0, 0))
    return fit_weights(OutOfFoldVotes(tuple(each.id for each in held_out), truth, votes, costs), settings.vote)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--task", choices=TASKS, action="append", help="given once or twice; all without it")
    parser.add_argument("--draws", type=int, default=6, help="of each number of examples")
    parser.add_argument("--examples", type=int, nargs="+", default=EXAMPLES, help="numbers of examples per label")
    add_overrides(parser, "override one setting")


def execute(options: argparse.Namespace) -> None:
    """Print one line per task and number of examples."""
    from ensemble.training.train_panel import read_labelled

    tasks = options.task or TASKS
    settings = load_settings("cpu", (*_UNWRITTEN, *options.overrides))
    groups = read_labelled(tasks, options.data, options.images, settings)
    for task in tasks:
        for n_each in options.examples:
            draws = [draw(groups[task], n_each, seed=seed) for seed in range(options.draws)]
            found = [judged(task, settings, *each) for each in draws]
            n_test = np.mean([len(test) for _, test in draws])
            figures = {name: [each[name] for each in found] for name in found[0]}
            cells = (f"{name} {np.mean(own):.3f} ± {np.std(own):.3f}" for name, own in figures.items())
            print(f"{task:<8} {n_each} per label, {n_test:.0f} tested: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
