"""A base of the true shape with random weights, through the product's own path: load, train, load, predict.

    python -m scripts.benchmarks.true_size                  # Qwen2-VL-7B: a GPU, or a CPU with 24 GiB
    python -m scripts.benchmarks.true_size --shape nano     # the same steps in half a minute

Writes the checkpoint as the hub has it (sharded, its key names, bfloat16; 16.6 GB for the 7B) with nano's tokenizer,
trains an adapter on shipped screens, and lets it vote, apart and merged. Random weights answer nothing: only seconds,
memory and agreement mean something. Prints one table and one JSON line.
"""

import argparse
import gc
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mire.cli import run
from scripts.benchmarks.machine import timed

SHAPES = {"qwen2-vl-7b": "Qwen/Qwen2-VL-7B-Instruct", "nano": "nano"}
SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@dataclass(frozen=True)
class Step:
    """One step: its seconds, what it handled per second, and the memory that the device and the host had in use."""

    name: str
    seconds: float
    per_second: float
    device_gib: float
    host_gib: float


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


class Steps(list[Step]):
    """The steps so far, each printed as it ends."""

    def take(self, name: str, n: int, call: Callable[[], Any]) -> Any:
        """Run a step that handles ``n`` things; returns what it returned."""
        import psutil
        import torch

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        done = timed(call)
        device = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
        host = psutil.Process().memory_info().rss / 2**30
        self.append(Step(name, done.seconds, n / done.seconds, device, host))
        print(f"{name:<28} {done.seconds:>9.2f} {n / done.seconds:>10.2f} {device:>7.1f} {host:>7.1f}", flush=True)
        return done.value


def labelled(n: int) -> list[Any]:
    """The first ``n`` shipped training screens."""
    from mire.samples import read_samples
    from router.route import route

    every = read_samples(SAMPLES / "train.json", SAMPLES / "images")
    return [sample for sample in every if route(sample.prompt).task == "image"][:n]


def measure(folder: Path, shape: str, n_samples: int) -> Steps:
    """All steps, in the order of the table."""
    from experts.qwen2vl.model.device import default_device
    from mire.settings import load_settings

    steps, samples = Steps(), labelled(n_samples)
    steps.take("write the checkpoint", 1, lambda: write_checkpoint(folder / "base", SHAPES[shape], default_device()))
    whole = load_settings(
        shape, [f"qwen2vl.base={folder / 'base'}", "qwen2vl.dtype=bfloat16", "qwen2vl.image.epochs=1"]
    )
    train(whole, samples, folder / "adapter", steps)
    apart, merged = (vote(whole.qwen2vl, how, samples, folder / "adapter", steps) for how in ("apart", "merged"))
    print(f"same label apart and merged: {100 * agreement(apart, merged):.0f} %")
    return steps


def load(stage: Any, steps: Steps, name: str) -> Any:
    """A base of these settings, once the memory of what was there before is free."""
    import torch

    from experts.qwen2vl.base import load_base

    gc.collect()
    torch.cuda.empty_cache()
    return steps.take(name, 1, lambda: load_base(stage))


def train(whole: Any, samples: Sequence[Any], folder: Path, steps: Steps) -> None:
    """One epoch of the image adapter."""
    from experts.qwen2vl.training.trainer import train_adapter
    from mire.labels import builtin_taxonomy

    base, taxonomy = load(whole.qwen2vl, steps, "load the base"), builtin_taxonomy("image")
    call = partial(train_adapter, base, samples, [], taxonomy=taxonomy, settings=whole, folder=folder)
    steps.take("train an epoch, samples", len(samples), call)


def vote(stage: Any, how: str, samples: Sequence[Any], folder: Path, steps: Steps) -> list[Any]:
    """The adapter's votes, from the files, twice: the first time loads kernels."""
    from experts.qwen2vl.voter import Qwen2VLVoter
    from mire.labels import builtin_taxonomy

    base = load(stage.model_copy(update={"adapters": how}), steps, f"load again, {how}")
    voter = Qwen2VLVoter.load(folder, taxonomy=builtin_taxonomy("image"), settings=stage, base=base)
    steps.take(f"vote, {how}, first", len(samples), partial(voter.vote, samples))
    votes: list[Any] = steps.take(f"vote, {how}, samples", len(samples), partial(voter.vote, samples))
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
    parser.add_argument("--samples", type=int, default=64, help="screens to train on and to predict (default: 64)")


def execute(options: argparse.Namespace) -> None:
    """Measure, print a table and one JSON line."""
    import torch

    print(f"{'step':<28} {'seconds':>9} {'per second':>10} {'GPU GiB':>7} {'host':>7}")
    with tempfile.TemporaryDirectory(prefix="true-size-") as folder:
        steps = measure(Path(folder), options.shape, options.samples)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(json.dumps({"device": name, "shape": options.shape, "torch": torch.__version__,
                      "steps": [asdict(step) for step in steps]}))  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
