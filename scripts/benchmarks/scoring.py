"""Score every label in one pass, against the ways that others take: same checkpoint, prompts and pixels, on the CPU.

    python -m scripts.benchmarks.scoring [--samples 138] [--without-bfloat16] [--without-llama-factory]

First tunes nano for a minute, so that a label that is generated ends where it should. Prints one table and one JSON
line. Rates are samples per second; the share of the machine is that of the rate of plain float32 matrix products,
measured in the same run. The other ways run transformers' own model, as it ships. LLaMA-Factory reads the pictures
itself and is set against our rate from the files, both in float32 and in bfloat16, each at its better one.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from mire.cli import run, say
from scripts.benchmarks.machine import best_of, count_flops, matmul_rate, timed

ROOT = Path(__file__).resolve().parents[2]
N_THREADS = 2
N_SLOW = 24
"""Samples of the two slowest ways."""
N_TUNING, N_EPOCHS = 552, 3
"""Training screens and rounds over them for the checkpoint."""
MATMUL_SIZE = 2048
FILES, FACTORY = "ours, from the files", "LLaMA-Factory 0.9.5, batches of 8"


@dataclass(frozen=True)
class Row:
    """One way to answer: its rate, how many times ours is that, and how often it gives the same label as ours.

    ``agreement`` is None where the way's labels are not known.
    """

    way: str
    n: int
    samples_per_second: float
    ours_is: float
    agreement: float | None = None


@dataclass(frozen=True)
class Contest:
    """Samples, their answers by every way in this process, as labels' places; ``plain`` is transformers' own model."""

    voter: Any
    plain: Any
    samples: Sequence[Any]

    @property
    def padding(self) -> dict[str, int]:
        return {"image_pad": self.voter.base.image_pad, "pad": self.voter.base.pad}

    @cached_property
    def names(self) -> dict[str, str]:
        """The label that ours answers, by the sample's id."""
        labels = self.voter.taxonomy.labels
        return {prompt.sample_id: labels[best] for prompt, best in zip(self.prompts, self.answer(), strict=True)}

    @cached_property
    def labels(self) -> list[list[int]]:
        """Every label's tokens, the end of the turn included."""
        trie = self.voter.trie
        return [[trie.tokens[node] for node in path] for path in trie.paths]

    @cached_property
    def prompts(self) -> list[Any]:
        return sorted(map(self.voter.encoder.encode, self.samples), key=len)

    def answer(self) -> list[int]:
        """From the files on."""
        return self._best({vote.sample_id: vote for vote in self.voter.vote(self.samples)})

    def score(self, n_threads: int = N_THREADS) -> list[int]:
        """From the token ids and pixels on."""
        from experts.qwen2vl.voter import side_by_side

        with side_by_side(n_threads) as pool:
            most = -(-len(self.prompts) // n_threads)  # as vote does: every thread gets some
            return self._best(self.voter.score(self.prompts, pool, n_threads, most))

    def _best(self, votes: Mapping[str, Any]) -> list[int]:
        rows = [votes[prompt.sample_id].probabilities for prompt in self.prompts]
        return [row.index(max(row)) for row in rows]

    def separate(self, prompts: Sequence[Any]) -> list[int]:
        from scripts.benchmarks.rivals.generating import separate_passes

        return separate_passes(self.plain, prompts, self.labels, size=8, **self.padding)

    def write(self, prompts: Sequence[Any], size: int) -> list[int | None]:
        """None where what was written is no label."""
        from scripts.benchmarks.rivals.generating import generate

        end, n_new = self.labels[0][-1], max(map(len, self.labels))
        given = generate(self.plain, prompts, size=size, n_new=n_new, end=end, **self.padding)
        whole = [[*answer[: answer.index(end)], end] if end in answer else answer for answer in given]
        return [self.labels.index(answer) if answer in self.labels else None for answer in whole]


def ways(contest: Contest) -> tuple[list[Row], dict[str, float]]:
    """Every way in this process, and what the machine gave."""
    import torch

    with torch.inference_mode():
        rate = matmul_rate(MATMUL_SIZE, torch.float32, "cpu")
        prompts = contest.prompts
        reading, scoring = best_of(3, contest.answer), best_of(3, contest.score)
        few = slice(None, None, max(1, len(prompts) // N_SLOW))
        each = timed(lambda: contest.separate(prompts[few]))
        single = timed(lambda: contest.write(prompts[few], 1))
        eights = best_of(2, lambda: contest.write(prompts, 8))
        flops = count_flops(lambda: contest.score(1))  # what other threads do is not counted
    n, ours = len(prompts), scoring.value

    def row(way: str, answers: Sequence[int | None], seconds: float, which: slice = slice(None)) -> Row:
        same = sum(a == b for a, b in zip(answers, ours[which], strict=True)) / len(answers)
        rate_of = len(answers) / seconds
        return Row(way, len(answers), rate_of, n / scoring.seconds / rate_of, same)

    n_labels = len(contest.labels)
    rows = [
        row("ours, one pass", ours, scoring.seconds),
        row(FILES, reading.value, reading.seconds),
        row(f"{n_labels} passes for {n_labels} labels", each.value, each.seconds, few),
        row("generate, one by one", single.value, single.seconds, few),
        row("generate, batches of 8", eights.value, eights.seconds),
    ]
    return rows, {
        "gflops": flops / scoring.seconds / 1e9, "matmul_gflops": rate / 1e9, "mflop_a_sample": flops / n / 1e6,
    }  # fmt: skip


def bench_settings() -> Any:
    """nano with the challenge's whole prompt, which the others are given too; tuned to write labels."""
    from mire.settings import load_settings

    nano = load_settings("nano").qwen2vl
    image = nano.image.model_copy(update={"loss": "sft"})
    return nano.model_copy(update={"layout": "official", "max_tokens": 1024, "image": image})


def tune(folder: Path) -> None:
    """Write a checkpoint to ``folder``, in float32, and what it was made of, an adapter, into it."""
    from mire.labels import builtin_taxonomy
    from scripts.benchmarks.checkpoint import tuned_checkpoint

    screens = shipped_screens("train.json", N_TUNING)
    tuned_checkpoint(folder, screens, taxonomy=builtin_taxonomy("image"), settings=bench_settings(), n_epochs=N_EPOCHS)


def voter_in(dtype: str, folder: Path, adapters: str = "auto") -> Any:
    """The voter that answers with the adapter, in a number format."""
    from experts.qwen2vl.base import load_base
    from experts.qwen2vl.voter import Qwen2VLVoter
    from mire.labels import builtin_taxonomy

    settings = bench_settings().model_copy(update={"dtype": dtype, "adapters": adapters})
    base = load_base(settings, device="cpu")
    return Qwen2VLVoter.load(folder / "adapter", base=base, taxonomy=builtin_taxonomy("image"), settings=settings)


def checkpoint_in(dtype: str, folder: Path) -> Path:
    """The checkpoint in a number format, beside the one in float32."""
    if dtype == "float32":
        return folder
    from transformers import Qwen2VLForConditionalGeneration

    copy = folder / dtype
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("adapter", "*.safetensors"))
    Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=dtype, trust_remote_code=False).save_pretrained(copy)
    return copy


def plain_model(folder: Path) -> Any:
    """The same checkpoint without any of our shortcuts."""
    from transformers import Qwen2VLForConditionalGeneration

    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa", trust_remote_code=False)
    return model.eval()


def from_files(contest: Contest, dtype: str, folder: Path, one_pass: float, adapters: str) -> Row:
    """Ours from the files, in another format and with adapters so; ``one_pass`` is our one pass's rate in float32."""
    import torch

    other = Contest(voter_in(dtype, folder, adapters), contest.plain, contest.samples)
    with torch.inference_mode():
        reading = best_of(3, other.answer)
    rate = len(contest.samples) / reading.seconds
    same = sum(contest.names[key] == name for key, name in other.names.items()) / len(contest.samples)
    return Row(f"{FILES}, {dtype}, adapter {adapters}", len(contest.samples), rate, one_pass / rate, same)


def llama_factory(contest: Contest, dtype: str, folder: Path, ours: float) -> Row:
    """LLaMA-Factory on the same samples, its own decoding of the pictures included; ``ours`` is our best rate with it."""
    from scripts.benchmarks.rivals.llama_factory import predict

    samples, n_new = contest.samples, max(map(len, contest.labels))
    with tempfile.TemporaryDirectory() as work:
        found = predict(
            [dict(sample.row) for sample in samples], ROOT / "samples" / "images", checkpoint_in(dtype, folder),
            Path(work), batch_size=8, n_new=n_new, max_pixels=bench_settings().max_pixels, n_threads=N_THREADS,
        )  # fmt: skip
    same = sum(contest.names[sample.id] == text for sample, text in zip(samples, found.texts, strict=True))
    rate = found.samples_per_second
    return Row(f"{FACTORY}, {dtype}", len(samples), rate, ours / rate, same / len(samples))


def shipped_screens(name: str, n: int) -> list[Any]:
    """The first n image samples of a shipped file."""
    from mire.labels import builtin_taxonomy
    from mire.samples import read_samples

    everything = read_samples(ROOT / "samples" / name, ROOT / "samples" / "images")
    return [sample for sample in everything if sample.label in builtin_taxonomy("image")][:n]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--samples", type=int, default=138, help="shipped test screens to answer")
    parser.add_argument("--without-bfloat16", action="store_true", help="float32 only, where a CPU lacks bfloat16")
    parser.add_argument("--without-llama-factory", action="store_true", help="leave out what has to be installed")


def execute(options: argparse.Namespace) -> None:
    """Measure, print a table and one JSON line."""
    import torch

    torch.set_num_threads(N_THREADS)
    samples = shipped_screens("test.json", options.samples)
    formats = ["float32"] if options.without_bfloat16 else ["float32", "bfloat16"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tune(folder)
        contest = Contest(voter_in("float32", folder), plain_model(folder), samples)
        rows, machine = ways(contest)
        # In bfloat16 an adapter stays apart by default. LLaMA-Factory's checkpoint has it in the weights.
        for dtype, adapters in product(formats[1:], ("apart", "merged")):
            rows.append(from_files(contest, dtype, folder, rows[0].samples_per_second, adapters))
        if not options.without_llama_factory:
            ours = max(row.samples_per_second for row in rows if row.way.startswith(FILES))
            rows += [llama_factory(contest, dtype, folder, ours) for dtype in formats]
    print_table(rows, machine)
    print(json.dumps({"rows": [asdict(row) for row in rows], "machine": machine, "threads": N_THREADS}))


def print_table(rows: Sequence[Row], machine: dict[str, float]) -> None:
    """One line per way, and the share of the machine below."""
    print(f"{'way':<44} {'n':>4} {'samples/s':>10} {'ours is':>9} {'agrees':>7}")
    for row in rows:
        agrees = "" if row.agreement is None else f"{100 * row.agreement:.0f} %"
        print(f"{row.way:<44} {row.n:>4} {row.samples_per_second:>10.1f} {row.ours_is:>7.2f} x {agrees:>7}")
    share = machine["gflops"] / machine["matmul_gflops"]
    say(
        f"one pass: {machine['mflop_a_sample']:.0f} MFLOP per sample, {machine['gflops']:.1f} GFLOP/s, {100 * share:.0f} % "
        f"of the machine's {machine['matmul_gflops']:.1f}"
    )
    if others := [row.ours_is for row in rows if row.way.startswith(FACTORY)]:
        say(f"from the files, each in its better format: ours is {min(others):.2f} times LLaMA-Factory")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
