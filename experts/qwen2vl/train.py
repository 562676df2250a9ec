"""Train one task's LoRA adapter.

    accelerate launch -m experts.qwen2vl.train --panel runs/p --task image --data train.json --images images

The panel folder must hold the settings, the labels and the folds (``ensemble.train`` writes them). Fold 0
validates: it decides when to stop, and its votes are the expert's out-of-fold votes. With ``--epochs`` the
adapter is trained on all folds for so long: the final one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mire.cli import add_data, parser, run
from mire.labels import TASKS

VALIDATION_FOLD = 0
_HISTORY = "history.json"


def write_history(log: list[dict[str, Any]], folder: Path) -> None:
    """Keep what the trainer logged, one entry a log line."""
    (folder / _HISTORY).write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


def best_epoch(folder: Path) -> float:
    """The epoch with the highest F1 on the validation fold; of equal ones the first."""
    log = json.loads((folder / _HISTORY).read_text(encoding="utf-8"))
    judged = [entry for entry in log if "eval_f1" in entry]
    return float(max(judged, key=lambda entry: (entry["eval_f1"], -entry["epoch"]))["epoch"])


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("experts.qwen2vl.train", "Train one task's LoRA adapter.")
    add_data(options)
    options.add_argument("--panel", type=Path, required=True, help="panel folder with settings and folds")
    options.add_argument("--task", choices=TASKS, required=True)
    options.add_argument("--epochs", type=float, help="train on all folds for so many epochs, without validation")
    chosen = options.parse_args(argv)
    from mire.folds import read_folds
    from mire.panel_folder import PanelFolder
    from mire.samples import read_samples

    panel = PanelFolder(chosen.panel)
    settings = panel.settings()
    folds = read_folds(panel.folds(chosen.task))
    samples = [sample for sample in read_samples(chosen.data, chosen.images) if sample.id in folds]
    from experts.qwen2vl.base import load_base
    from experts.qwen2vl.tune import train_adapter

    train_adapter(
        load_base(settings.qwen2vl),
        samples,
        folds,
        taxonomy=panel.taxonomy(chosen.task),
        settings=settings,
        folder=panel.voter(chosen.task, "qwen2vl"),
        n_epochs=chosen.epochs,
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
