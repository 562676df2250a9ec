"""Train the Qwen2-VL adapters of one task: one per voting fold, and the final one."""

import gc
from collections.abc import Sequence

import torch

from ensemble.training.accelerate_launch import Launch, run_side_by_side
from ensemble.training.training_set import TrainingSet
from experts.qwen2vl.adapters.averaging import merge_adapters
from experts.registry import load_base, load_voter
from experts.voter import Voter
from mire.budget import Cost
from mire.errors import PanelError
from mire.labels import Task
from mire.settings import Qwen2VL
from mire.votes import Vote


def train_adapters(known: TrainingSet, launch: Launch) -> tuple[list[Vote | None], Cost]:
    """Train in processes of their own; returns the out-of-fold votes and the cost of a vote.

    A fold's votes are those of an adapter that has not seen it in any way: the final adapter, which has, is one of its
    own, even if it continues a fold's. Fold adapters are kept for pseudo-labels. With several devices or CPU cores
    several adapters are trained at once.
    """
    task, panel, settings = known.task, known.panel, known.settings.qwen2vl
    folder, training = panel.voter(task, Qwen2VL.voter), settings.training(task)
    arguments = ["--task", task, "--panel", str(panel.root), "--data", str(known.data), "--images", str(known.images)]
    adapters = [panel.fold_voter(task, Qwen2VL.voter, fold) for fold in range(settings.vote_folds)]
    jobs = [[*arguments, "--out", str(adapter), "--fold", str(fold)] for fold, adapter in enumerate(adapters)]
    if settings.final == "refit":
        jobs.append([*arguments, "--out", str(folder), "--epochs", str(training.epochs)])
    while jobs:
        groups = list(launch.groups(len(jobs), training))
        _run(task, groups, jobs[: len(groups)])
        jobs = jobs[len(groups) :]
    votes: list[Vote | None] = []
    for fold in range(settings.vote_folds):
        cast, cost = _cast(known, fold)
        votes += cast
    if settings.final == "continue":
        further = [*arguments, "--out", str(folder), "--epochs", str(training.epochs / known.settings.folds)]
        _run(task, list(launch.groups(1, training)), [[*further, "--start", str(adapters[0])]])
    if settings.final == "merge":
        merge_adapters(adapters, folder)
    return votes, cost


def load_fold_voter(known: TrainingSet, fold: int) -> Voter:
    """The expert that one fold was kept from, with a base of its own."""
    name, settings = Qwen2VL.voter, known.settings
    return load_voter(
        name,
        known.panel.fold_voter(known.task, name, fold),
        taxonomy=known.panel.taxonomy(known.task),
        settings=settings,
        base=load_base(name, settings),
    )


def _cast(known: TrainingSet, fold: int) -> tuple[list[Vote | None], Cost]:
    """A fold's votes; the expert is freed afterwards, because the next training needs the memory."""
    voter = load_fold_voter(known, fold)
    cast = voter.vote(known.outside(fold)), voter.cost
    del voter
    _free_memory()
    return cast


def _free_memory() -> None:
    """Give a model's memory back: its modules refer to each other, and torch keeps what it had for its next tensors."""
    gc.collect()
    torch.cuda.empty_cache()


def _run(task: Task, launches: Sequence[Launch], arguments: Sequence[Sequence[str]]) -> None:
    _free_memory()  # of the voters that this process has trained
    codes = [code for code in run_side_by_side(launches, arguments) if code != 0]
    if codes:
        raise PanelError(
            f"training the {task} adapter failed (exit code {codes[0]}); its message, if any, is above; "
            "its checkpoints are kept, and the same command resumes from them"
        )
