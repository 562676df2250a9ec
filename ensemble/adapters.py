"""The Qwen2-VL adapters of one task: one for each fold that is voted on, then the final one."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from statistics import mean

from ensemble.training_set import TrainingSet
from ensemble.voters import load_voter
from experts.qwen2vl.merge import merge_adapters
from experts.qwen2vl.train import best_epoch
from experts.voter import Voter
from mire.budget import Cost
from mire.errors import PanelError
from mire.labels import Task
from mire.votes import Vote


def train_adapters(known: TrainingSet) -> tuple[list[Vote | None], Cost]:
    """Train through accelerate; give the out-of-fold votes and what a vote costs.

    The fold that is voted on also decided when to stop, which flatters its votes a little. Fold adapters are
    kept: they can guess labels without knowing their fold.
    """
    task, panel, settings = known.task, known.panel, known.settings.qwen2vl
    folder = panel.voter(task, "qwen2vl")
    arguments = ["--task", task, "--panel", str(panel.root), "--data", str(known.data), "--images", str(known.images)]
    adapters = [panel.fold_adapter(task, fold) for fold in range(settings.vote_folds)]
    votes: list[Vote | None] = []
    for fold, adapter in enumerate(adapters):
        _launch(task, [*arguments, "--out", str(adapter), "--fold", str(fold)])
        cast, cost = _cast(known, fold)
        votes += cast
    if settings.final == "merge":
        merge_adapters(adapters, folder)
    else:
        n_epochs = mean(best_epoch(adapter) for adapter in adapters)
        _launch(task, [*arguments, "--out", str(folder), "--epochs", str(n_epochs)])
    return votes, cost


def load_fold_voter(known: TrainingSet, fold: int) -> Voter:
    """The expert that one fold was kept from, with a base of its own."""
    from experts.qwen2vl.base import load_base

    return load_voter(
        "qwen2vl",
        known.panel.fold_adapter(known.task, fold),
        taxonomy=known.panel.taxonomy(known.task),
        settings=known.settings,
        base=load_base(known.settings.qwen2vl),
    )


def _cast(known: TrainingSet, fold: int) -> tuple[list[Vote | None], Cost]:
    """A fold's votes; the expert is let go afterwards, the next training needs the memory."""
    voter = load_fold_voter(known, fold)
    return voter.vote(known.outside(fold)), voter.cost


def _launch(task: Task, arguments: Sequence[str]) -> None:
    n_devices = _n_devices()
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--num_processes", str(n_devices)]
    # accelerate gives a process one thread unless it is told otherwise.
    command += ["--num_cpu_threads_per_process", str(max(1, (os.cpu_count() or 1) // n_devices))]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["-m", "experts.qwen2vl.train", *arguments]
    # A session of its own, because the launcher has children: they must not outlive this process.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code != 0:
        raise PanelError(
            f"training the {task} adapter failed (exit code {code}); its message stands above if it left one; "
            "its checkpoints are kept, and the same command goes on with them"
        )


def _n_devices() -> int:
    import torch

    return max(int(torch.cuda.device_count()), 1)
