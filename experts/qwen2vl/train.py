"""Train one task's LoRA adapter: one that leaves a fold out, or the final one.

    accelerate launch -m experts.qwen2vl.train --panel runs/p --task image --data train.json --images images \\
        --out FOLDER --fold 0

The panel folder must hold the settings, the labels and the folds (``ensemble.train`` writes them). With
``--fold`` that fold validates: it decides when to stop, and is voted on. With ``--epochs`` the adapter is
trained on all folds for so long.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mire.cli import add_data, parser, run
from mire.labels import TASKS

_HISTORY = "history.json"


def write_history(log: list[dict[str, Any]], folder: Path) -> None:
    """Keep what the trainer logged, one entry a log line."""
    (folder / _HISTORY).write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


def best_epoch(folder: Path) -> float:
    """The epoch with the highest F1 on the fold that was left out; of equal ones the first."""
    log = json.loads((folder / _HISTORY).read_text(encoding="utf-8"))
    judged = [entry for entry in log if "eval_f1" in entry]
    return float(max(judged, key=lambda entry: (entry["eval_f1"], -entry["epoch"]))["epoch"])


def last_epoch(folder: Path) -> float | None:
    """How many epochs an adapter was trained for; None where it was trained elsewhere."""
    if not (folder / _HISTORY).is_file():
        return None
    log = json.loads((folder / _HISTORY).read_text(encoding="utf-8"))
    return float(max(entry["epoch"] for entry in log))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("experts.qwen2vl.train", "Train one task's LoRA adapter.")
    add_data(options)
    options.add_argument("--panel", type=Path, required=True, help="panel folder with settings and folds")
    options.add_argument("--task", choices=TASKS, required=True)
    options.add_argument("--out", type=Path, required=True, help="folder of the adapter")
    what = options.add_mutually_exclusive_group(required=True)
    what.add_argument("--fold", type=int, help="leave this fold out, and validate on it")
    what.add_argument("--epochs", type=float, help="train on all folds for so many epochs")
    options.add_argument("--sharded", action="store_true", help="cut the base into one part a process (FSDP2)")
    chosen = options.parse_args(argv)
    from mire.folds import read_folds
    from mire.panel_folder import PanelFolder

    panel = PanelFolder(chosen.panel)
    settings = panel.settings()
    folds = read_folds(panel.folds(chosen.task))
    samples = [sample for sample in panel.read_samples(chosen.data, chosen.images) if sample.id in folds]
    pseudo = panel.pseudo(chosen.task, chosen.fold)
    learned = [sample for sample in samples if folds[sample.id] != chosen.fold]
    learned += panel.read_samples(pseudo, chosen.images) if pseudo.is_file() else []
    from experts.qwen2vl.spread import load_own_base
    from experts.qwen2vl.tune import train_adapter

    train_adapter(
        load_own_base(settings.qwen2vl, sharded=chosen.sharded),
        learned,
        [sample for sample in samples if folds[sample.id] == chosen.fold],
        taxonomy=panel.taxonomy(chosen.task),
        settings=settings,
        folder=chosen.out,
        n_epochs=chosen.epochs,
        sharded=chosen.sharded,
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
