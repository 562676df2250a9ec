"""Train the Qwen2-VL adapters of one task, one per voting fold and the final one, and voters that follow them."""

import gc
import shutil
from collections.abc import Sequence
from typing import Any, cast

import torch

from ensemble.panel import ready
from ensemble.training.accelerate_launch import Launch, run_side_by_side
from ensemble.training.accidents import Probes
from ensemble.training.probes import probe
from ensemble.training.training_set import TrainingSet
from experts.qwen2vl.adapters.averaging import merge_adapters
from experts.qwen2vl.training.checkpoints import epoch_losses
from experts.qwen2vl.voter import Qwen2VLVoter
from experts.registry import VOTERS, load_base, load_voter
from experts.voter import SavedVoter, Voter
from mire.budget import Cost
from mire.errors import PanelError
from mire.labels import Task
from mire.settings import Qwen2VL, Training
from mire.votes import Vote


def train_adapters(known: TrainingSet, launch: Launch) -> tuple[list[Vote | None], Cost, Probes]:
    """Train in processes of their own; returns the out-of-fold votes, the cost of a vote, and the first fold's probes.

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
    _run(task, launch, training, jobs)
    parts = [_cast(known, fold) for fold in range(settings.vote_folds)]
    if settings.final == "continue":
        further = [*arguments, "--epochs", str(training.epochs / known.settings.folds), "--start", str(adapters[0])]
        _continue(known, launch, further)
    if settings.final == "merge":
        merge_adapters(adapters, folder)
    _, cost, probes = parts[0]
    return [vote for votes, _, _ in parts for vote in votes], cost, probes


def _continue(known: TrainingSet, launch: Launch, further: Sequence[str]) -> None:
    """Train the final adapter with these arguments, or one per seed that are then averaged."""
    task, panel, settings = known.task, known.panel, known.settings.qwen2vl
    folder, training = panel.voter(task, Qwen2VL.voter), settings.training(task)
    if settings.final_seeds == 1:
        _run(task, launch, training, [[*further, "--out", str(folder)]])
        return
    first = known.settings.seed
    seeds = {seed: panel.seed_voter(task, Qwen2VL.voter, seed) for seed in range(first, first + settings.final_seeds)}
    _run(task, launch, training, [[*further, "--out", str(out), "--seed", str(seed)] for seed, out in seeds.items()])
    merge_adapters([*seeds.values()], folder)


def train_follower(name: str, known: TrainingSet) -> tuple[list[Vote | None], Cost]:
    """Train a voter that follows the adapters: for a fold on the states of the fold's adapter, at last on the final's.

    Returns as ``train_adapters``.
    """
    votes: list[Vote | None] = []
    for fold in range(known.settings.qwen2vl.vote_folds):
        votes += _follow(name, known, fold)
        _free_memory()
    voter = follower(name, known, load_fold_voter(known, None), None)
    folder = known.panel.voter(known.task, name)
    shutil.rmtree(folder, ignore_errors=True)
    voter.save(folder)
    return votes, voter.cost


def _follow(name: str, known: TrainingSet, fold: int) -> list[Vote | None]:
    """The follower's votes on a fold."""
    leader, samples = load_fold_voter(known, fold), known.outside(fold)
    voter = follower(name, known, leader, fold)
    return ready(voter, {leader.name: leader.vote(samples)}).vote(samples)


def follower(name: str, known: TrainingSet, leader: Voter, fold: int | None) -> SavedVoter:
    """The voter that follows ``leader``, trained without ``fold``, as the leader was."""
    kind: Any = VOTERS[name].resolve()
    samples = known.inside(fold)
    voter: SavedVoter = kind.train(
        samples,
        taxonomy=known.panel.taxonomy(known.task),
        settings=known.settings.stage(name),
        seed=known.settings.seed,
        votes=leader.vote(samples),
    )
    return voter


def load_fold_voter(known: TrainingSet, fold: int | None) -> Voter:
    """The expert that one fold was kept from (None: the final one), with a base of its own."""
    name, settings, panel = Qwen2VL.voter, known.settings, known.panel
    return load_voter(
        name,
        panel.voter(known.task, name) if fold is None else panel.fold_voter(known.task, name, fold),
        taxonomy=known.panel.taxonomy(known.task),
        settings=settings,
        base=load_base(name, settings),
    )


def _cast(known: TrainingSet, fold: int) -> tuple[list[Vote | None], Cost, Probes]:
    """A fold's votes and, of fold 0, probes; the expert is freed afterwards: the next training needs the memory."""
    voter = load_fold_voter(known, fold)
    votes, cost, probes = voter.vote(known.outside(fold)), voter.cost, Probes()
    if fold == 0:
        losses = epoch_losses(known.panel.fold_voter(known.task, Qwen2VL.voter, fold))
        probes = probe(cast(Qwen2VLVoter, voter), known.outside(fold), votes, losses, seed=known.settings.seed)
    del voter
    _free_memory()
    return votes, cost, probes


def _free_memory() -> None:
    """Give a model's memory back: its modules refer to each other, and torch keeps what it had for its next tensors."""
    gc.collect()
    torch.cuda.empty_cache()


def _run(task: Task, launch: Launch, training: Training, jobs: Sequence[Sequence[str]]) -> None:
    """Train an adapter per job, as many at once as the devices allow."""
    while jobs:
        groups = list(launch.groups(len(jobs), training))
        _run_at_once(task, groups, jobs[: len(groups)])
        jobs = jobs[len(groups) :]


def _run_at_once(task: Task, launches: Sequence[Launch], jobs: Sequence[Sequence[str]]) -> None:
    _free_memory()  # of the voters that this process has trained
    codes = [code for code in run_side_by_side(launches, jobs) if code != 0]
    if codes:
        raise PanelError(
            f"training the {task} adapter failed (exit code {codes[0]}); its message, if any, is above; "
            "its checkpoints are kept, and the same command resumes from them"
        )
