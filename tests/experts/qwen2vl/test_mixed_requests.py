"""Both tasks' adapters in one model: a service's passes change the task without touching a weight."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from qwen2vl_inputs import make_adapter
from records import dialogue_instruction, image_instruction

from experts.qwen2vl.base import load_base
from experts.qwen2vl.model.merged_weights import MergedModel
from experts.qwen2vl.voter import Qwen2VLVoter
from mire.labels import TASKS, Task, builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Qwen2VL

PASS, REQUESTS = 16, 2000
"""Samples of a service's pass, which are of one task, and of all passes."""


@pytest.fixture
def samples(tmp_path: Path) -> dict[Task, list[Sample]]:
    """Sixteen different samples of each task."""
    paths = [tmp_path / f"{n}.png" for n in range(PASS)]
    for n, path in enumerate(paths):
        Image.new("RGB", (56, 28), (15 * n, 90, 40)).save(path)
    screen, texts = parse_prompt(image_instruction()), [dialogue_instruction(f"用户: {'嗯' * n}") for n in range(PASS)]
    return {
        "image": [Sample(id=path.stem, prompt=screen, images=(path,)) for path in paths],
        "dialogue": [Sample(id=str(n), prompt=parse_prompt(text)) for n, text in enumerate(texts)],
    }


def probabilities(voter: Qwen2VLVoter, samples: list[Sample]) -> list[tuple[float, ...]]:
    return [vote.probabilities for vote in voter.vote(samples) if vote]


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=(pytest.mark.gpu, needs_gpu))])
def test_two_thousand_mixed_requests_merge_nothing(
    nano_settings: Qwen2VL,
    samples: dict[Task, list[Sample]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
) -> None:
    monkeypatch.setattr(MergedModel, "_merge", lambda *_: pytest.fail("an adapter was merged"))
    settings = nano_settings.model_copy(update={"adapters": "apart"})
    base = load_base(settings, device=device)
    voters = {
        task: Qwen2VLVoter.load(
            make_adapter(tmp_path / task, settings, task), taxonomy=builtin_taxonomy(task), settings=settings, base=base
        )
        for task in TASKS
    }
    first = {task: probabilities(voters[task], samples[task]) for task in TASKS}
    weights = {name: (weight.data_ptr(), weight.clone()) for name, weight in base.model.named_parameters()}
    with monkeypatch.context() as quick:  # which weights a pass runs through is decided before it
        quick.setattr(
            "experts.qwen2vl.model.scoring.label_log_likelihoods",
            lambda _, batch, trie: torch.zeros(
                sum(n for n, _ in batch.layout.run_lengths), len(trie.paths), device=device
            ),
        )
        for number in range(REQUESTS // PASS):
            task = TASKS[number % 2]
            assert len(probabilities(voters[task], samples[task])) == PASS
    for task in TASKS:
        np.testing.assert_allclose(probabilities(voters[task], samples[task]), first[task], atol=1e-6)
    for name, weight in base.model.named_parameters():
        place, before = weights[name]
        assert weight.data_ptr() == place and torch.equal(weight, before), name
