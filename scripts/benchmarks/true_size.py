"""A base of the true shape with random weights, through the product's own path: train, predict, export.

    python -m scripts.benchmarks.true_size                  # Qwen2-VL-7B on a GPU
    python -m scripts.benchmarks.true_size --samples 0      # by the commands alone: what a CPU with 24 GiB can hold
    python -m scripts.benchmarks.true_size --samples 0 --by-commands 64   # both tasks, and a service under load
    python -m scripts.benchmarks.true_size --samples 0 --by-commands 24 --predicted 10000   # a submission's rows
    python -m scripts.benchmarks.true_size --shape nano     # the same steps in two minutes

Writes the checkpoint as the hub has it (sharded, its key names, bfloat16; 16.6 GB for the 7B) with nano's tokenizer.
In one process both tasks' adapters are trained and vote: apart, merged, and apart in compiled layers. Then the ordinary
commands train an adapter on a few shipped screens, predict and export; with ``--by-commands N`` both tasks' adapters on
N shipped samples each, and ``mire serve`` answers 8 clients; ``--predicted`` repeats the samples in the prediction.
Random weights answer nothing: only seconds, memory and agreement mean something. Prints one table and one JSON line.
"""

import argparse
import gc
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from mire.cli import run
from mire.labels import TASKS, Task
from scripts.benchmarks.commands import SAMPLES, Commands
from scripts.benchmarks.machine import Steps

SHAPES = {"qwen2-vl-7b": "Qwen/Qwen2-VL-7B-Instruct", "nano": "nano"}
N_PASSES, HALF_PASS = 10, 8
"""Mixed passes, each of so many screens and as many dialogues: what a busy service makes."""


def write_checkpoint(folder: Path, shape: str, device: str) -> None:
    """Random weights of the shape in bfloat16, nano's tokenizer and processor settings."""
    import torch
    from transformers import AutoTokenizer

    from experts.qwen2vl.base import base_source
    from scripts.benchmarks.synthetic import random_model

    nano = Path(base_source("nano"))
    tokenizer = AutoTokenizer.from_pretrained(nano, trust_remote_code=False)
    model = random_model(shape, device, torch.bfloat16)
    for entry, token in (("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start")):
        setattr(model.config, f"{entry}_token_id", tokenizer.convert_tokens_to_ids(f"<|{token}|>"))
    model.save_pretrained(folder, max_shard_size="5GB")
    tokenizer.save_pretrained(folder)
    shutil.copy(nano / "preprocessor_config.json", folder)


def labelled(task: Task, n: int) -> list[Any]:
    """The first ``n`` shipped training samples of the task."""
    from mire.samples import read_samples
    from router.route import route

    every = read_samples(SAMPLES / "train.json", SAMPLES / "images")
    return [sample for sample in every if route(sample.prompt).task == task][:n]


def measure(folder: Path, settings: Any, n_samples: int, steps: Steps) -> None:
    """In one process: training, then votes with adapters apart, merged, and apart in compiled layers."""
    samples = {task: labelled(task, n_samples) for task in TASKS}
    for task in TASKS:
        train(settings, task, samples[task], folder, steps)
    votes = {}
    for how in ({"adapters": "apart"}, {"adapters": "merged"}, {"adapters": "apart", "compile": True}):
        name = "compiled" if "compile" in how else how["adapters"]
        votes[name] = vote(settings.qwen2vl.model_copy(update=how), name, samples, folder, steps)
    for name in ("merged", "compiled"):
        print(f"same label apart and {name}: {100 * agreement(votes['apart'], votes[name]):.0f} %")


def load(stage: Any, steps: Steps, name: str) -> Any:
    """A base of these settings, once the memory of what was there before is free."""
    import torch

    from experts.qwen2vl.base import load_base

    gc.collect()
    torch.cuda.empty_cache()
    return steps.take(name, 1, lambda: load_base(stage))


def train(settings: Any, task: Task, samples: Sequence[Any], folder: Path, steps: Steps) -> None:
    """One epoch of the task's adapter, on a base of its own."""
    from experts.qwen2vl.training.trainer import train_adapter
    from mire.labels import builtin_taxonomy

    base = load(settings.qwen2vl, steps, "load the base")
    call = partial(
        train_adapter, base, samples, [], taxonomy=builtin_taxonomy(task), settings=settings, folder=folder / task
    )
    steps.take(f"train an epoch, {task}", len(samples), call)


def vote(stage: Any, how: str, samples: Mapping[Task, Sequence[Any]], folder: Path, steps: Steps) -> list[Any]:
    """Both adapters' votes, from the files, twice, since the first time loads kernels; then passes of mixed samples."""
    from experts.qwen2vl.voter import Qwen2VLVoter
    from mire.labels import builtin_taxonomy

    base = load(stage, steps, f"load again, {how}")
    voters = {
        task: Qwen2VLVoter.load(folder / task, taxonomy=builtin_taxonomy(task), settings=stage, base=base)
        for task in TASKS
    }
    votes = []
    for task, voter in voters.items():
        steps.take(f"vote, {how}, {task}, first", len(samples[task]), partial(voter.vote, samples[task]))
        votes += steps.take(f"vote, {how}, {task}", len(samples[task]), partial(voter.vote, samples[task]))

    def mixed() -> None:
        for start in range(0, N_PASSES * HALF_PASS, HALF_PASS):
            for task, voter in voters.items():
                voter.vote([samples[task][index % len(samples[task])] for index in range(start, start + HALF_PASS)])

    steps.take(f"passes of 8 + 8, {how}", N_PASSES, mixed)
    return votes


def agreement(first: Sequence[Any], second: Sequence[Any]) -> float:
    """The share of samples on which two lists of votes agree."""
    best = [
        [max(range(len(p)), key=p.__getitem__) for p in (v.probabilities for v in votes)] for votes in (first, second)
    ]
    return sum(a == b for a, b in zip(*best, strict=True)) / len(first)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--shape", choices=tuple(SHAPES), default="qwen2-vl-7b")
    parser.add_argument(
        "--samples", type=int, default=64, help="samples per task in one process (default: 64; 0: none)"
    )
    parser.add_argument(
        "--by-commands", type=int, metavar="N", help="samples per task of the commands (default: a few screens)"
    )
    parser.add_argument(
        "--predicted", type=int, default=0, metavar="M", help="rows that they predict (default: the samples)"
    )


def execute(options: argparse.Namespace) -> None:
    """Measure, print a table and one JSON line."""
    import torch

    from experts.qwen2vl.model.device import default_device
    from mire.settings import load_settings

    steps = Steps()
    print(f"{'step':<34} {'seconds':>9} {'per second':>10} {'GPU GiB':>7} {'host':>7}")
    with tempfile.TemporaryDirectory(prefix="true-size-") as name:
        folder, shape = Path(name), options.shape
        write = partial(write_checkpoint, folder / "base", SHAPES[shape], default_device())
        steps.take("write the checkpoint", 1, write)
        entries = [f"qwen2vl.base={folder / 'base'}", "qwen2vl.dtype=bfloat16"]
        entries += [f"qwen2vl.{task}.epochs=1" for task in TASKS]
        if options.samples:
            measure(folder, load_settings(shape, entries), options.samples, steps)
        commands = Commands(folder, shape, entries, steps)
        if options.by_commands:
            commands.both_tasks({task: labelled(task, options.by_commands) for task in TASKS}, options.predicted)
        else:
            commands.few_screens(labelled("image", sys.maxsize))
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(json.dumps({"device": name, "shape": options.shape, "torch": torch.__version__,
                      "steps": [asdict(step) for step in steps]}))  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
