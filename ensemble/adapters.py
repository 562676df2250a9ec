"""The Qwen2-VL adapters of one task: one for each fold that is voted on, then the final one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from ensemble.voters import load_voter
from experts.qwen2vl.adapter import MANIFEST
from experts.qwen2vl.merge import merge_adapters
from experts.qwen2vl.train import best_epoch
from mire.budget import Cost
from mire.errors import PanelError
from mire.folds import read_folds
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Settings
from mire.votes import Vote


def train_adapters(
    task: Task, samples: Sequence[Sample], *, data: Path, images: Path, panel: PanelFolder, settings: Settings
) -> tuple[list[Vote | None], Cost]:
    """Train through accelerate; give the out-of-fold votes and what a vote costs.

    Finished fold adapters of a run that was cut off are used again. The fold that is voted on also decided
    when to stop, which flatters its votes a little.
    """
    folder = panel.voter(task, "qwen2vl")
    fold_of = read_folds(panel.folds(task))
    arguments = ["--task", task, "--panel", str(panel.root), "--data", str(data), "--images", str(images)]
    adapters = [folder / "folds" / str(fold) for fold in range(settings.qwen2vl.vote_folds)]
    votes: list[Vote | None] = []
    for fold, adapter in enumerate(adapters):
        if not (adapter / MANIFEST).is_file():
            _launch(task, [*arguments, "--out", str(adapter), "--fold", str(fold)])
        outside = [sample for sample in samples if fold_of[sample.id] == fold]
        cast, cost = _cast(task, adapter, outside, panel, settings)
        votes += cast
    if settings.qwen2vl.final == "merge":
        merge_adapters(adapters, folder)
    else:
        n_epochs = mean(best_epoch(adapter) for adapter in adapters)
        _launch(task, [*arguments, "--out", str(folder), "--epochs", str(n_epochs)])
    shutil.rmtree(folder / "folds")
    return votes, cost


def _cast(
    task: Task, adapter: Path, samples: Sequence[Sample], panel: PanelFolder, settings: Settings
) -> tuple[list[Vote | None], Cost]:
    """Votes of one adapter; its base is let go afterwards, the next training needs the memory."""
    from experts.qwen2vl.base import load_base

    base = load_base(settings.qwen2vl)
    voter = load_voter("qwen2vl", adapter, taxonomy=panel.taxonomy(task), settings=settings, base=base)
    return voter.vote(samples), voter.cost


def _launch(task: Task, arguments: Sequence[str]) -> None:
    n_devices = _n_devices()
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--num_processes", str(n_devices)]
    # accelerate gives a process one thread unless it is told otherwise.
    command += ["--num_cpu_threads_per_process", str(max(1, (os.cpu_count() or 1) // n_devices))]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["-m", "experts.qwen2vl.train", *arguments]
    if subprocess.run(command, check=False).returncode != 0:
        raise PanelError(f"training the {task} adapter failed; its message stands above, the checkpoints are kept")


def _n_devices() -> int:
    import torch

    return max(int(torch.cuda.device_count()), 1)
