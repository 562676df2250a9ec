"""Speed and memory of the real 7B shape on a GPU, with random weights: nothing is downloaded.

    python -m scripts.benchmarks.gpu                   # Qwen2-VL-7B on the GPU
    python -m scripts.benchmarks.gpu --shape nano      # the same steps in two minutes, on a CPU too

Measures, at 600 and at 1,280 visual tokens beside 350 of text: PEFT's generate in batches of 8; our one pass over
packed rows with the adapter apart, with it merged, and with compiled layers; then LoRA training steps.
Prints one table and one JSON line.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from mire.cli import run
from scripts.benchmarks.machine import best_of, count_flops, matmul_rate

N_TEXT = 350
COMPILED = "ours, merged, compiled"


@dataclass(frozen=True)
class Row:
    """One way at one size: samples/s, TFLOP/s of the counted operations, peak memory, and agreement of labels."""

    way: str
    n_visual: int
    samples_per_second: float
    tflops: float
    share: float
    peak_gib: float
    agreement: float | None = None


@dataclass(frozen=True)
class Bench:
    """A model with two adapters on a device, and how many samples each measurement takes."""

    model: Any
    device: str
    n_samples: int
    matmul: float

    def row(self, way: str, n_visual: int, n: int, call: Callable[[], Any], flops: float, agreement: Any = None) -> Row:
        """Measure a call over ``n`` samples that needs ``flops`` operations."""
        import torch

        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = best_of(2, call).seconds
        peak = torch.cuda.max_memory_allocated() / 2**30 if self.device == "cuda" else 0.0
        return Row(way, n_visual, n / seconds, flops / seconds / 1e12, flops / seconds / self.matmul, peak, agreement)


def scoring_rows(bench: Bench, sizes: Sequence[int], token_budget: int, *, compiled: bool) -> list[Row]:
    """Generating against one pass, at every size: each way adds one thing to the way before it."""
    import torch

    from experts.qwen2vl.base import compile_layers
    from experts.qwen2vl.model.merged_weights import MergedModel
    from experts.qwen2vl.voter import BUCKET
    from mire.labels import builtin_taxonomy
    from scripts.benchmarks.generating import generate
    from scripts.benchmarks.synthetic import label_trie, prompts

    trie = label_trie(builtin_taxonomy("image"))
    n_new = max(map(len, trie.paths))
    padding = {"image_pad": bench.model.config.image_token_id, "pad": 0}

    def row(way: str, n_visual: int, **how: Any) -> Row:
        screens = screens_of[n_visual]
        score = partial(best_labels, bench, trie, token_budget, **how)
        labels = score(screens)
        same = sum(a == b for a, b in zip(labels, plain.setdefault(n_visual, labels), strict=True)) / len(labels)
        if (n_visual, way) not in flops_of:
            flops_of[n_visual, way] = flops_of_each(score, screens)
        return bench.row(
            way, n_visual, len(screens), partial(score, screens), flops_of[n_visual, way] * len(screens), same
        )

    screens_of = {n: prompts(bench.model, bench.n_samples, n_visual=n, n_text=N_TEXT) for n in sizes}
    plain: dict[int, list[int]] = {}
    flops_of: dict[tuple[int, str], float] = {}
    rows: list[Row] = []
    with torch.inference_mode():
        for n_visual, screens in screens_of.items():
            few = screens[: max(8, len(screens) // 8)]
            answer = partial(generate, bench.model, size=8, n_new=n_new, end=-1, **padding)
            flops = flops_of_each(answer, screens) * len(few)
            rows.append(bench.row("PEFT generate, batches of 8", n_visual, len(few), partial(answer, few), flops))
            rows.append(row("ours, adapter apart", n_visual))
        # Once: a merge starts from the weights that it finds.
        MergedModel(bench.model).use("image")
        rows += [row("ours, merged", n_visual) for n_visual in sizes]
        if compiled:
            flops_of |= {(n, COMPILED): flops_of[n, "ours, merged"] for n in sizes}
            compile_layers(bench.model.get_base_model())
            rows += [row(COMPILED, n_visual, multiple=BUCKET) for n_visual in sizes]
    bench.model.base_model.enable_adapter_layers()
    return rows


def flops_of_each(call: Callable[[Sequence[Any]], Any], screens: Sequence[Any]) -> float:
    """Operations for one of the screens, which are alike; counted over two, since counting spells attention out."""
    return count_flops(partial(call, screens[:2])) / 2


def best_labels(bench: Bench, trie: Any, token_budget: int, screens: Sequence[Any], *, multiple: int = 1) -> list[int]:
    """Indices of the best labels of all screens; read at the end, so that the GPU never waits for the reader."""
    import torch

    from experts.qwen2vl.inputs.batch import pack
    from experts.qwen2vl.inputs.rows import pack_by_token_budget
    from experts.qwen2vl.model.scoring import label_log_likelihoods

    best = []
    for prompts in pack_by_token_budget(screens, token_budget, len(trie.inner)):
        batch = pack(prompts, trie, image_pad=bench.model.config.image_token_id, pad=0, multiple=multiple)
        batch = batch.pin_memory() if bench.device == "cuda" else batch
        best.append(label_log_likelihoods(bench.model, batch.to(torch.device(bench.device)), trie).argmax(1))
    return list(torch.cat(best).tolist())


def training_row(bench: Bench, n_visual: int, batch_size: int, forward: float) -> Row:
    """LoRA training steps with gradient checkpointing; a sample's forward pass takes ``forward`` operations."""
    import torch

    from experts.qwen2vl.inputs.batch import pack
    from experts.qwen2vl.model.scoring import label_log_likelihoods
    from experts.qwen2vl.training.trainer import label_loss
    from mire.labels import builtin_taxonomy
    from scripts.benchmarks.synthetic import label_trie, prompts

    model, config = bench.model, bench.model.config
    trie = label_trie(builtin_taxonomy("image"))
    screens = prompts(model, batch_size, n_visual=n_visual, n_text=N_TEXT)
    batch = pack(screens, trie, image_pad=config.image_token_id, pad=0).to(torch.device(bench.device))
    labels = torch.zeros(batch_size, dtype=torch.long, device=bench.device)
    lengths = torch.tensor([len(path) for path in trie.paths], device=bench.device)
    model.set_adapter("image")
    model.train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=1e-5)

    def step() -> None:
        label_loss(label_log_likelihoods(model, batch, trie), labels, "label_set", lengths).backward()
        optimiser.step()
        optimiser.zero_grad()

    # Forward, forward again from the checkpoints, and the activations' gradients; frozen weights have none.
    return bench.row("LoRA training steps", n_visual, batch_size, step, 3 * forward * batch_size)


def print_table(rows: Sequence[Row], device: str, matmul: float) -> None:
    """One way a line."""
    print(f"{device}, plain matrix products {matmul / 1e12:.2f} TFLOP/s")
    print(f"{'way':<32} {'visual':>7} {'samples/s':>10} {'TFLOP/s':>9} {'share':>6} {'GiB':>6} {'agrees':>7}")
    for row in rows:
        agrees = "" if row.agreement is None else f"{100 * row.agreement:.0f} %"
        print(
            f"{row.way:<32} {row.n_visual:>7} {row.samples_per_second:>10.2f} {row.tflops:>9.3f} "
            f"{100 * row.share:>4.0f} % {row.peak_gib:>6.1f} {agrees:>7}"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--shape", choices=("qwen2-vl-7b", "nano"), default="qwen2-vl-7b")
    parser.add_argument("--samples", type=int, help="samples of each measurement (default: 512, nano 8)")
    parser.add_argument("--without-compiled", action="store_true", help="leave out what takes minutes to compile")


def execute(options: argparse.Namespace) -> None:
    """Measure, print a table and one JSON line."""
    import torch

    from mire.settings import load_settings
    from scripts.benchmarks.synthetic import random_model, with_adapters

    nano = options.shape == "nano"
    settings = load_settings(options.shape).qwen2vl
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    matmul = matmul_rate(8192 if device == "cuda" else 2048, dtype, device)
    model = with_adapters(random_model(settings.base, device), settings.lora, ("image", "dialogue"))
    bench = Bench(model, device, options.samples or (8 if nano else 512), matmul)
    sizes = (64, 128) if nano else (600, 1280)
    rows = scoring_rows(bench, sizes, settings.token_budget, compiled=not options.without_compiled)
    # Last: what gradient checkpointing hooks into the model stays there.
    for apart in [row for row in rows if row.way == "ours, adapter apart"]:
        forward = apart.tflops * 1e12 / apart.samples_per_second
        rows.append(training_row(bench, apart.n_visual, 4 if nano else settings.image.micro_batch_size, forward))
    print_table(rows, name, matmul)
    versions = {"torch": torch.__version__, "transformers": __import__("transformers").__version__}
    print(json.dumps({"device": name, "shape": options.shape, "matmul_tflops": matmul / 1e12, **versions,
                      "rows": [asdict(row) for row in rows]}))  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
