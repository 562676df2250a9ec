"""Rows of the Qwen2-VL voter: how they are filled, and what happens when memory runs out."""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from PIL import Image
from records import dialogue_instruction, image_instruction
from torch.utils._python_dispatch import TorchDispatchMode

from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.inputs.batch import Batch
from experts.qwen2vl.inputs.pictures import Patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.inputs.rows import pack_by_token_budget
from experts.qwen2vl.model.device import ELEMENTWISE_ANGLES
from experts.qwen2vl.voter import Qwen2VLVoter
from mire.labels import builtin_taxonomy
from mire.process_pool import workers
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Qwen2VL


def prompt(length: int) -> EncodedPrompt:
    return EncodedPrompt(str(length), tuple(range(length)), tuple[Patches, ...](), ())


def test_rows_are_filled_in_order_and_sorted_within() -> None:
    # two inner nodes a prompt: (7 + 2) + (3 + 2) = 14; a third of 5 would make 21
    rows = list(pack_by_token_budget(map(prompt, (7, 3, 5, 30, 4)), 20, n_inner=2, max_prompts=9))
    assert [[len(p) for p in row] for row in rows] == [[3, 7], [5], [30], [4]]


def test_rows_hold_no_more_prompts_than_they_may() -> None:
    rows = list(pack_by_token_budget(map(prompt, (7, 3, 5, 30, 4)), 1000, n_inner=2, max_prompts=2))
    assert [[len(p) for p in row] for row in rows] == [[3, 7], [5, 30], [4]]


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=200), st.integers(64, 20_000))
def test_rows_stay_within_the_budget_for_any_lengths(lengths: list[int], budget: int) -> None:
    rows = [[len(p) for p in row] for row in pack_by_token_budget(map(prompt, lengths), budget, 20, max_prompts=50)]
    assert sorted(length for row in rows for length in row) == sorted(lengths)
    for row in rows:
        assert row == sorted(row) and len(row) <= 50 and (len(row) == 1 or sum(row) + 20 * len(row) <= budget)


def dialogues(n: int) -> list[Sample]:
    texts = [dialogue_instruction("客服: 您好", f"用户: 会生锈吗{'吗' * row}") for row in range(n)]
    return [Sample(id=str(row), prompt=parse_prompt(text)) for row, text in enumerate(texts)]


@pytest.fixture
def voter(base: Base, nano_settings: Qwen2VL, monkeypatch: pytest.MonkeyPatch) -> Qwen2VLVoter:
    monkeypatch.setattr(Base, "adapted", lambda self, task: self.model)
    return Qwen2VLVoter(base, builtin_taxonomy("dialogue"), nano_settings)


def n_prompts(batch: Batch) -> int:
    return sum(n for n, _ in batch.layout.run_lengths)


@pytest.fixture
def one_core() -> Iterator[None]:
    """All samples are one batch."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("fits", [1, 2, 3])
def test_a_batch_beyond_memory_is_halved_and_nothing_is_lost_or_repeated(
    voter: Qwen2VLVoter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fits: int
) -> None:
    import experts.qwen2vl.model.scoring as scoring

    expected = [vote.probabilities for vote in voter.vote(dialogues(7)) if vote]
    honest, scored = scoring.label_log_likelihoods, []

    def small_memory(model: Any, batch: Any, trie: Any) -> torch.Tensor:
        if n_prompts(batch) > fits:
            raise torch.OutOfMemoryError
        scored.append(n_prompts(batch))
        return honest(model, batch, trie)

    monkeypatch.setattr(scoring, "label_log_likelihoods", small_memory)
    votes = voter.vote(dialogues(7))
    assert [vote.sample_id for vote in votes if vote] == [str(row) for row in range(7)]
    np.testing.assert_allclose([vote.probabilities for vote in votes if vote], expected, atol=1e-5)
    assert sum(scored) == 7 and max(scored) <= fits
    assert "a batch of 7 does not fit into memory, going on with halves" in capsys.readouterr().err


@pytest.mark.usefixtures("one_core")
def test_a_size_that_did_not_fit_is_not_tried_again(voter: Qwen2VLVoter, monkeypatch: pytest.MonkeyPatch) -> None:
    import experts.qwen2vl.model.scoring as scoring

    honest, tried = scoring.label_log_likelihoods, list[int]()

    def small_memory(model: Any, batch: Any, trie: Any) -> torch.Tensor:
        tried.append(n_prompts(batch))
        if n_prompts(batch) > 2:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")
        return honest(model, batch, trie)

    monkeypatch.setattr(scoring, "label_log_likelihoods", small_memory)
    for _ in range(3):
        assert all(voter.vote(dialogues(4)))
    assert tried == [4, 2, 2, 2, 2, 2, 2]


@pytest.mark.usefixtures("one_core")
def test_scores_that_overflowed_are_no_vote(voter: Qwen2VLVoter, monkeypatch: pytest.MonkeyPatch) -> None:
    import experts.qwen2vl.model.scoring as scoring

    honest = scoring.label_log_likelihoods

    def overflows(model: Any, batch: Any, trie: Any) -> torch.Tensor:
        scores = honest(model, batch, trie)
        scores[1, 0] = float("nan")
        return scores

    monkeypatch.setattr(scoring, "label_log_likelihoods", overflows)
    first, second, third = voter.vote(dialogues(3))
    assert first and third and second is None


def test_a_sample_that_never_fits_is_abstained_on(
    voter: Qwen2VLVoter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_memory(model: Any, batch: Any, trie: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("experts.qwen2vl.model.scoring.label_log_likelihoods", no_memory)
    assert voter.vote(dialogues(2)) == [None, None]
    assert "sample '0' of" in capsys.readouterr().err


def test_a_vote_counts_its_prompt_s_tokens(voter: Qwen2VLVoter) -> None:
    (vote,) = voter.vote(dialogues(1))
    assert vote is not None
    assert vote.n_prompt_tokens == len(voter.encoder.encode(dialogues(1)[0])) > 20


def test_neither_order_nor_company_changes_a_vote(voter: Qwen2VLVoter) -> None:
    samples = dialogues(6)
    together = {vote.sample_id: vote.probabilities for vote in voter.vote(samples) if vote}
    backwards = {vote.sample_id: vote.probabilities for vote in voter.vote(samples[::-1]) if vote}
    for sample in samples:
        (alone,) = voter.vote([sample])
        assert alone is not None
        np.testing.assert_allclose(together[sample.id], alone.probabilities, atol=1e-5)
        np.testing.assert_allclose(backwards[sample.id], alone.probabilities, atol=1e-5)


@pytest.mark.parametrize("n_cores", [1, 3])
def test_each_core_takes_a_batch_and_the_votes_stay(
    voter: Qwen2VLVoter, monkeypatch: pytest.MonkeyPatch, n_cores: int
) -> None:
    import experts.qwen2vl.model.scoring as scoring

    expected = [vote.probabilities for vote in voter.vote(dialogues(7)) if vote]
    honest, by = scoring.label_log_likelihoods, list[tuple[str, int]]()

    def watched(model: Any, batch: Any, trie: Any) -> torch.Tensor:
        by.append((threading.current_thread().name, torch.get_num_threads()))
        return honest(model, batch, trie)

    monkeypatch.setattr(scoring, "label_log_likelihoods", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(n_cores)
    try:
        votes = voter.vote(dialogues(7))
        of_seven = by.copy()
        by.clear()
        voter.vote(dialogues(1))
        assert torch.get_num_threads() == n_cores, "the cores are not given back"
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose([vote.probabilities for vote in votes if vote], expected, atol=1e-5)
    assert {cores for _, cores in of_seven} == {1}
    assert ("MainThread" in dict(of_seven)) == (n_cores == 1)
    assert by == [("MainThread", n_cores)], "a lone sample gets all cores"


@pytest.mark.parametrize(("dtype", "expected"), [("float32", "highest"), ("bfloat16", "medium")])
def test_only_rows_in_bfloat16_round_the_factors_of_float32_products(
    nano_settings: Qwen2VL, monkeypatch: pytest.MonkeyPatch, dtype: str, expected: str
) -> None:
    """Adapters are merged with exact products."""
    import experts.qwen2vl.model.scoring as scoring

    monkeypatch.setattr("experts.qwen2vl.model.device.multiplies_bfloat16", lambda: True)
    monkeypatch.setattr("experts.qwen2vl.model.device.version", {"transformers": "5.19"}.__getitem__)
    seen: dict[str, str] = {}

    def adapted(base: Base, task: object) -> Any:
        seen["adapters"] = torch.get_float32_matmul_precision()
        return base.model

    def watched(model: Any, batch: Any, trie: Any) -> torch.Tensor:
        seen["row"] = torch.get_float32_matmul_precision()
        return honest(model, batch, trie)

    honest = scoring.label_log_likelihoods
    monkeypatch.setattr(scoring, "label_log_likelihoods", watched)
    monkeypatch.setattr(Base, "adapted", adapted)
    base = load_base(nano_settings.model_copy(update={"dtype": dtype}), device="cpu")
    (vote,) = Qwen2VLVoter(base, builtin_taxonomy("dialogue"), nano_settings).vote(dialogues(1))
    assert vote is not None and sum(vote.probabilities) == pytest.approx(1, abs=1e-5)
    assert seen == {"adapters": "highest", "row": expected}


class Products(TorchDispatchMode):
    """The kinds of float32 products that are computed, and those of which a factor is no bfloat16 number."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.rounded: set[str] = set()

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = call.__name__.partition(".")[0]
        if name in ("linear", "matmul", "mm", "bmm", "addmm", "baddbmm"):
            factors = args[1:3] if name in ("addmm", "baddbmm") else args[:2]
            if factors[0].dtype == torch.float32:
                self.seen.add(name)
                if not all((factor.bfloat16() == factor).all() for factor in factors):
                    self.rounded.add(name)
        return call(*args, **(kwargs or {}))


@pytest.mark.usefixtures("one_core")
@pytest.mark.skipif(Version(version("transformers")) < Version(ELEMENTWISE_ANGLES), reason="angles are a product there")
def test_no_row_in_bfloat16_has_a_product_that_must_be_exact(
    nano_settings: Qwen2VL, screens: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of attention and the vocabulary's logits multiply bfloat16 numbers; attention's weights may be rounded."""
    monkeypatch.setattr("experts.qwen2vl.model.device.multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(Base, "adapted", lambda self, task: self.model)
    base = load_base(nano_settings.model_copy(update={"dtype": "bfloat16"}), device="cpu")
    with Products() as products:
        Qwen2VLVoter(base, builtin_taxonomy("image"), nano_settings).vote(screens[:5])
    assert {"baddbmm", "bmm"} < products.seen
    assert products.rounded == {"bmm"}


@pytest.fixture
def screens(tmp_path: Path) -> list[Sample]:
    """Enough pictures for workers, one of them missing."""
    prompt, paths = parse_prompt(image_instruction()), [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths[:-1]):
        Image.new("RGB", (60 + number, 90), (6 * number, 40, 90)).save(path)
    return [Sample(id=path.stem, prompt=prompt, images=(path,)) for path in paths]


@pytest.mark.slow
def test_workers_change_no_vote_and_a_killed_one_neither(
    voter: Qwen2VLVoter, screens: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    alone, helped = (replace(voter, settings=voter.settings.model_copy(update={"input_workers": n})) for n in (0, 2))
    expected = alone.vote(screens)
    assert expected[-1] is not None and "is missing" in expected[-1].problems[0]
    assert helped.vote(screens) == expected
    pids = workers(2).pids()
    assert len(pids) == 2
    os.kill(pids[0], signal.SIGKILL)
    assert helped.vote(screens) == expected
    assert "a worker process died" in capsys.readouterr().err
    assert helped.vote(screens) == expected


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
def test_resident_memory_is_flat_over_many_chunks(voter: Qwen2VLVoter, tmp_path: Path) -> None:
    """Ten times more samples cost no more memory: what is decoded ahead is bounded, what is scored is let go."""
    prompt, paths = parse_prompt(image_instruction()), [tmp_path / f"{number}.jpg" for number in range(64)]
    for number, path in enumerate(paths):
        Image.new("RGB", (540 + number, 1170), (4 * number, 40, 90)).save(path)
    screens = [Sample(id=path.stem, prompt=prompt, images=(path,)) for path in paths]
    helped = replace(voter, settings=voter.settings.model_copy(update={"input_workers": 2}))
    for _ in range(3):
        helped.vote(screens)
    growth = []
    for _ in range(3):
        before = resident_mib()
        for _ in range(10):
            assert all(helped.vote(screens))
        growth.append(resident_mib() - before)
    # 10 x 64 pictures of 588 x 12 bytes would be 4.3 MiB, their decoded pixels 1,200 MiB. What leaks does so every
    # time; an allocator that takes another page of its own does not.
    assert min(growth) < 2, growth


@pytest.mark.usefixtures("one_core")
def test_states_are_of_the_same_pass_and_change_no_vote(voter: Qwen2VLVoter, monkeypatch: pytest.MonkeyPatch) -> None:
    import experts.qwen2vl.model.scoring as scoring

    samples = dialogues(3)
    plain = voter.vote(samples)
    telling = replace(voter, tells_states=True)
    monkeypatch.setattr(scoring, "label_log_likelihoods", lambda *_: pytest.fail("a second pass"))
    votes = [vote for vote in telling.vote(samples) if vote]
    assert votes == plain and all(vote and vote.state is None for vote in plain)
    assert [np.linalg.norm(vote.state) for vote in votes if vote.state is not None] == pytest.approx([1, 1, 1])
    # The first part is what the vocabulary's logits of the next token are made of, up to its length.
    first = telling.vote(samples[:1])[0]
    prompt = voter.encoder.encode(samples[0])
    ids = torch.tensor([prompt.ids])
    with torch.inference_mode():
        plain_state = voter.base.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
    assert first and first.state is not None
    n_read, width = len(voter.trie.inner) + 1, len(plain_state)
    assert len(first.state) == n_read * width
    np.testing.assert_allclose(first.state[:width] * n_read**0.5, plain_state / plain_state.norm(), atol=1e-4)
