"""Train one task's LoRA adapter.

    accelerate launch -m experts.qwen2vl.train --panel runs/p --task image --data train.json --images images

The panel folder must hold the settings, the labels and the folds (``ensemble.train`` writes them). Fold 0
validates: it decides when to stop, and its votes are the expert's out-of-fold votes.
"""

from collections.abc import Sequence
from pathlib import Path

from mire.cli import add_data, parser, run
from mire.labels import TASKS

VALIDATION_FOLD = 0


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("experts.qwen2vl.train", "Train one task's LoRA adapter.")
    add_data(options)
    options.add_argument("--panel", type=Path, required=True, help="panel folder with settings and folds")
    options.add_argument("--task", choices=TASKS, required=True)
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
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
