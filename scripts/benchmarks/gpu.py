"""Speed and memory of the real 7B shape on a GPU, with random weights: nothing is downloaded.

    python -m scripts.benchmarks.gpu                   # Qwen2-VL-7B on the GPU
    python -m scripts.benchmarks.gpu --shape nano      # the same steps in two minutes, on a CPU too

Measures, at 600 and at 1,280 visual tokens beside 350 of text: PEFT's generate in batches of 8; our one pass over
packed rows with the adapter apart, with it merged, and apart in compiled layers where asked for; then LoRA training
steps as the product makes them, with gradient checkpoints and without. Prints one table, which also holds what was predicted
for an H100 before anything was measured, and one JSON line.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mire.cli import run
from scripts.benchmarks.machine import best_of, count_flops, matmul_rate, sustained_matmul_rate

if TYPE_CHECKING:
    from mire.settings import Lora, Qwen2VL

N_TEXT = 350
SUSTAINED_SECONDS = 4.0
GENERATE, APART, MERGED = "PEFT generate, batches of 8", "ours, adapter apart", "ours, adapter merged"
COMPILED, TRAINING, OPEN = "ours, apart, compiled", "LoRA training steps", "the same without checkpoints"
PREDICTED = {(APART, 600): "17-21", (APART, 1280): "9-11", (TRAINING, 600): "4-6"}
"""Samples/s of the 7B that were predicted for an H100, by way and visual tokens."""


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


@dataclass(frozen=True)
class Contest:
    """Screens by visual tokens, which every way scores; ``labels`` and ``flops`` are those of the first way to do so.

    Every way that scores in one pass does the same operations, but for an adapter's half percent.
    """

    trie: Any
    token_budget: int
    screens: Mapping[int, Sequence[Any]]
    labels: dict[int, list[int]] = field(default_factory=dict)
    flops: dict[int, float] = field(default_factory=dict)

    def generating(self, bench: Bench, n_visual: int) -> Row:
        """PEFT's generate for an eighth of the screens."""
        from scripts.benchmarks.rivals.generating import generate

        screens, config = self.screens[n_visual], bench.model.config
        few = screens[: max(8, len(screens) // 8)]
        n_new = max(map(len, self.trie.paths))
        answer = partial(generate, bench.model, size=8, n_new=n_new, image_pad=config.image_token_id, pad=0, end=-1)
        return bench.row(GENERATE, n_visual, len(few), partial(answer, few), flops_of_each(answer, screens) * len(few))

    def scoring(self, bench: Bench, way: str, *, multiple: int = 1) -> Iterator[Row]:
        """One pass over packed rows, at every size."""
        for n_visual, screens in self.screens.items():
            score = partial(best_labels, bench, self.trie, self.token_budget, multiple=multiple)
            labels = score(screens)
            first = self.labels.setdefault(n_visual, labels)
            if n_visual not in self.flops:
                self.flops[n_visual] = flops_of_each(score, screens)
            same = sum(a == b for a, b in zip(labels, first, strict=True)) / len(labels)
            flops = self.flops[n_visual] * len(screens)
            yield bench.row(way, n_visual, len(screens), partial(score, screens), flops, same)


def scoring_rows(bench: Bench, contest: Contest) -> list[Row]:
    """Generating, then one pass with the adapter apart, then with it merged."""
    import torch

    from experts.qwen2vl.model.apart_adapters import ApartAdapters, ApartLinear
    from experts.qwen2vl.model.merged_weights import MergedModel

    with torch.inference_mode():
        rows = [contest.generating(bench, n_visual) for n_visual in contest.screens]
    ApartAdapters(bench.model).use("image")
    with torch.inference_mode():
        rows += contest.scoring(bench, APART)
    for layer in (module for module in bench.model.modules() if isinstance(module, ApartLinear)):
        layer.__class__ = ApartLinear.__base__
    MergedModel(bench.model).use("image")
    with torch.inference_mode():
        rows += contest.scoring(bench, MERGED)
    return rows


def compiled_rows(bench: Bench, contest: Contest, lora: "Lora") -> list[Row]:
    """One pass with new adapters apart, in compiled layers."""
    import torch

    from experts.qwen2vl.base import compile_layers
    from experts.qwen2vl.model.apart_adapters import ApartAdapters
    from experts.qwen2vl.voter import BUCKET
    from scripts.benchmarks.synthetic import with_adapters

    compile_layers(bench.model)
    adapted = with_adapters(bench.model, lora, ("image", "dialogue"))
    ApartAdapters(adapted).use("image")
    with torch.inference_mode():
        rows = list(contest.scoring(replace(bench, model=adapted), COMPILED, multiple=BUCKET))
    return [replace(row, agreement=None) for row in rows]  # of other adapters than the first way's


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


def training_row(bench: Bench, settings: "Qwen2VL", n_visual: int, *, checkpoints: bool) -> Row:
    """Training steps as the trainer makes them: float32 adapters, autocast, dropout, nothing compiled."""
    import torch

    from experts.qwen2vl.inputs.batch import pack
    from experts.qwen2vl.model.scoring import label_log_likelihoods
    from experts.qwen2vl.training.loss import label_loss
    from mire.doctor.training_cost import LongestSample, Shape, training_operations
    from mire.labels import builtin_taxonomy
    from scripts.benchmarks.synthetic import label_trie, prompts

    model, config = bench.model, bench.model.config
    trie, batch_size = label_trie(builtin_taxonomy("image")), settings.image.micro_batch_size
    screens = prompts(model, batch_size, n_visual=n_visual, n_text=N_TEXT)
    batch = pack(screens, trie, image_pad=config.image_token_id, pad=0).to(torch.device(bench.device))
    labels = torch.zeros(batch_size, dtype=torch.long, device=bench.device)
    lengths = torch.tensor([len(path) for path in trie.paths], device=bench.device)
    model.train()
    if checkpoints:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    else:
        model.gradient_checkpointing_disable()
    # As SafeSteps does: the frozen tower needs no backward pass.
    model.get_base_model().disable_input_require_grads()
    half = model.get_base_model().dtype == torch.bfloat16
    cast = partial(torch.autocast, bench.device, torch.bfloat16) if half else nullcontext
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=1e-5)

    def step() -> None:
        with cast():
            likelihoods = label_log_likelihoods(model, batch, trie)
        label_loss(likelihoods, labels, settings.image, lengths).backward()
        optimiser.step()
        optimiser.zero_grad()

    training = settings.image.model_copy(update={"gradient_checkpointing": checkpoints})
    sample = LongestSample(N_TEXT, n_visual, len(trie.inner))
    flops = training_operations(Shape.read(config), sample, settings.lora, training)
    return bench.row(TRAINING if checkpoints else OPEN, n_visual, batch_size, step, flops * batch_size)


def print_table(rows: Sequence[Row], device: str, matmul: float, sustained: float) -> None:
    """One line per way."""
    rates = f"{matmul / 1e12:.2f} TFLOP/s in a burst, {sustained / 1e12:.2f} for {SUSTAINED_SECONDS:.0f} seconds"
    print(f"{device}, plain matrix products {rates}; the share is of the burst")
    print(f"{'way':<32} {'visual':>7} {'samples/s':>10} {'predicted':>9} {'TFLOP/s':>9} {'share':>6} {'GiB':>6} agrees")
    for row in rows:
        agrees = "" if row.agreement is None else f"{100 * row.agreement:.0f} %"
        print(
            f"{row.way:<32} {row.n_visual:>7} {row.samples_per_second:>10.2f} "
            f"{PREDICTED.get((row.way, row.n_visual), ''):>9} {row.tflops:>9.3f} {100 * row.share:>4.0f} % "
            f"{row.peak_gib:>6.1f} {agrees:>6}"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--shape", choices=("qwen2-vl-7b", "nano"), default="qwen2-vl-7b")
    parser.add_argument("--samples", type=int, help="samples of each measurement (default: 64, nano 8)")
    parser.add_argument("--compiled", action="store_true", help="measure compiled layers too, which takes minutes")


def execute(options: argparse.Namespace) -> None:
    """Measure, print a table and one JSON line."""
    import torch

    from mire.labels import builtin_taxonomy
    from mire.settings import load_settings
    from scripts.benchmarks.synthetic import label_trie, prompts, random_model, to_train, with_adapters

    nano = options.shape == "nano"
    settings = load_settings(options.shape).qwen2vl
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    size = 8192 if device == "cuda" else 2048
    matmul = matmul_rate(size, dtype, device)
    sustained = sustained_matmul_rate(size, dtype, device, seconds=SUSTAINED_SECONDS)
    model = with_adapters(random_model(settings.base, device, dtype), settings.lora, ("image", "dialogue"))
    bench = Bench(model, device, options.samples or (8 if nano else 64), matmul)
    screens = {
        n: prompts(model, bench.n_samples, n_visual=n, n_text=N_TEXT) for n in ((64, 128) if nano else (600, 1280))
    }
    contest = Contest(label_trie(builtin_taxonomy("image")), settings.token_budget, screens)
    rows = scoring_rows(bench, contest)
    tuned = replace(bench, model=to_train(model.unload(), settings.lora))
    rows += [training_row(tuned, settings, n, checkpoints=on) for on in (True, False) for n in screens]
    if options.compiled:
        rows += compiled_rows(replace(bench, model=tuned.model.unload().eval()), contest, settings.lora)
    print_table(rows, name, matmul, sustained)
    versions = {"torch": torch.__version__, "transformers": __import__("transformers").__version__}
    print(json.dumps({"device": name, "shape": options.shape, "matmul_tflops": matmul / 1e12,
                      "sustained_tflops": sustained / 1e12, **versions, "rows": [asdict(row) for row in rows]}))  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
