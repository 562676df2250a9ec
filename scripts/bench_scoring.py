"""Score every label in one pass, against the ways that others take: same checkpoint, prompts and pixels, on the CPU.

    python scripts/bench_scoring.py [--samples 138] [--without-llama-factory]

Prints one table and one JSON line. Rates are samples a second; "of the machine" is the share of the rate of plain
float32 matrix products that was measured in the same run.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.machine import best_of, count_flops, matmul_rate, timed

from mire.cli import run, say

ROOT = Path(__file__).resolve().parents[1]
N_THREADS = 2
N_SLOW = 24
"""Samples of the two slowest ways."""
MATMUL_SIZE = 2048


@dataclass(frozen=True)
class Row:
    """One way to answer: its rate, and how often it gives the same label as the one pass (None: no labels)."""

    way: str
    n: int
    samples_per_second: float
    agreement: float | None = None


def ways(samples: Sequence[Any]) -> tuple[list[Row], dict[str, float], int]:
    """Every way in this process, what the machine gave, and the tokens of the longest label."""
    import torch
    from benchmark.generating import generate, separate_passes

    from experts.qwen2vl.base import load_base
    from experts.qwen2vl.batch import collate
    from experts.qwen2vl.scoring import label_log_likelihoods
    from experts.qwen2vl.voter import Qwen2VLVoter, fill_batches
    from mire.labels import builtin_taxonomy

    torch.set_num_threads(N_THREADS)
    base = load_base(bench_settings(), device="cpu")
    voter = Qwen2VLVoter(base, builtin_taxonomy("image"), bench_settings())
    trie, size = voter.trie, {"image_pad": base.image_pad, "pad": base.pad}
    labels = [[trie.tokens[node] for node in path] for path in trie.paths]
    n_new, end = max(map(len, labels)), labels[0][-1]

    def encode() -> list[Any]:
        return sorted(map(voter.encoder.encode, samples), key=len)

    def score() -> list[int]:
        best: list[int] = []
        for batch in fill_batches(prompts, bench_settings().token_budget, len(trie.inner)):
            best += label_log_likelihoods(base.model, collate(batch, trie, **size), trie).argmax(1).tolist()
        return best

    with torch.inference_mode():
        rate = matmul_rate(MATMUL_SIZE, torch.float32, "cpu")
        prompts = encode()
        encoding, scoring = best_of(2, encode), best_of(3, score)
        few = prompts[:: max(1, len(prompts) // N_SLOW)][:N_SLOW]
        each = timed(lambda: separate_passes(base.model, few, labels, size=8, **size))
        single = timed(lambda: generate(base.model, few, size=1, n_new=n_new, end=end, **size))
        eights = best_of(2, lambda: generate(base.model, prompts, size=8, n_new=n_new, end=end, **size))
        flops = count_flops(score)
    position = {prompt.sample_id: row for row, prompt in enumerate(prompts)}
    same = [scoring.value[position[p.sample_id]] == label for p, label in zip(few, each.value, strict=True)]
    n = len(prompts)
    rows = [
        Row("ours, one pass", n, n / scoring.seconds, 1.0),
        Row("ours, from the files", n, n / (scoring.seconds + encoding.seconds), 1.0),
        Row(f"{len(labels)} passes for {len(labels)} labels", len(few), len(few) / each.seconds, sum(same) / len(few)),
        Row("generate, one by one", len(few), len(few) / single.seconds),
        Row("generate, batches of 8", n, n / eights.seconds),
    ]
    machine = {"gflops": flops / scoring.seconds / 1e9, "matmul_gflops": rate / 1e9, "mflop_a_sample": flops / n / 1e6}
    return rows, machine, n_new


def bench_settings() -> Any:
    """nano with the challenge's whole prompt, which the others are given too."""
    from mire.settings import load_settings

    return load_settings("nano").qwen2vl.model_copy(update={"layout": "official", "max_tokens": 1024})


def llama_factory(records: Sequence[Any], n_new: int) -> Row:
    """LLaMA-Factory on the same records, its own decoding of the pictures included."""
    from benchmark.llama_factory import samples_per_second

    from experts.qwen2vl.base import base_source

    with tempfile.TemporaryDirectory() as work:
        rate = samples_per_second(
            records, ROOT / "samples" / "images", Path(base_source("nano")), Path(work),
            batch_size=8, n_new=n_new, max_pixels=bench_settings().max_pixels, n_threads=N_THREADS,
        )  # fmt: skip
    return Row("LLaMA-Factory 0.9.5 predict, batches of 8", len(records), rate)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--samples", type=int, default=138, help="shipped test screens to answer")
    options.add_argument("--without-llama-factory", action="store_true", help="leave out what has to be installed")
    chosen = options.parse_args(argv)
    from mire.labels import builtin_taxonomy
    from mire.samples import read_samples

    everything = read_samples(ROOT / "samples" / "test.json", ROOT / "samples" / "images")
    samples = [sample for sample in everything if sample.label in builtin_taxonomy("image")][: chosen.samples]
    records = [dict(sample.row) for sample in samples]
    rows, machine, n_new = ways(samples)
    if not chosen.without_llama_factory:
        rows.append(llama_factory(records, n_new))
    print_table(rows, machine)
    print(json.dumps({"rows": [asdict(row) for row in rows], "machine": machine, "threads": N_THREADS}))


def print_table(rows: Sequence[Row], machine: dict[str, float]) -> None:
    """One way a line, and the share of the machine below."""
    print(f"{'way':<44} {'n':>4} {'samples/s':>10} {'ours is':>9} {'agrees':>7}")
    for row in rows:
        times = f"{rows[0].samples_per_second / row.samples_per_second:.2f} x"
        agrees = "" if row.agreement is None else f"{100 * row.agreement:.0f} %"
        print(f"{row.way:<44} {row.n:>4} {row.samples_per_second:>10.1f} {times:>9} {agrees:>7}")
    share = machine["gflops"] / machine["matmul_gflops"]
    say(
        f"one pass: {machine['mflop_a_sample']:.0f} MFLOP a sample, {machine['gflops']:.1f} GFLOP/s, {100 * share:.0f} % "
        f"of the machine's {machine['matmul_gflops']:.1f}"
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
