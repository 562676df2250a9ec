"""On a CUDA device: nano answers as on the CPU, and memory that ends is survived. ``bash scripts/test.sh -m gpu``"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from family_bases import make_base
from PIL import Image
from qwen2vl_inputs import made_up_prompt
from records import dialogue_instruction
from torch import Tensor

from experts.clip_lightgbm.embed import Embedder
from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.families import FAMILIES
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.model.scoring import label_log_likelihoods
from experts.qwen2vl.training.trainer import train_adapter
from experts.qwen2vl.voter import Qwen2VLVoter
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Clip, Qwen2VL, load_settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TRIE = LabelTrie.build([[10, 11, 5], [10, 5], [12, 13, 14, 5]])


def on(settings: Qwen2VL, device: str, dtype: str) -> Base:
    return load_base(settings.model_copy(update={"dtype": dtype}), device=device)


def probabilities(base: Base) -> Tensor:
    """Of three labels for unlike and like prompts with no to two pictures, in one packed row."""
    rng = np.random.default_rng(0)
    prompts = [
        made_up_prompt(base, rng, n, grids)
        for n, grids in ((9, [(2, 3)]), (9, [(2, 3)]), (30, []), (5, [(1, 2), (4, 2)]))
    ]
    batch = pack(prompts, TRIE, image_pad=base.image_pad, pad=base.pad).pin_memory().to(base.model.device)
    with torch.inference_mode():
        return label_log_likelihoods(base.model, batch, TRIE).softmax(-1).cpu()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.02)])
def test_nano_answers_as_on_the_cpu(nano_settings: Qwen2VL, dtype: str, tolerance: float) -> None:
    expected = probabilities(on(nano_settings, "cpu", "float32"))
    got = probabilities(on(nano_settings, "cuda", dtype))
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_as_on_the_cpu(
    family: str, dtype: str, tolerance: float, nano_settings: Qwen2VL, tmp_path: Path
) -> None:
    settings = nano_settings.model_copy(update={"base": str(make_base(tmp_path / family, family))})
    expected = probabilities(on(settings, "cpu", "float32"))
    torch.testing.assert_close(probabilities(on(settings, "cuda", dtype)), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_a_quantised_base_answers_as_on_the_cpu(kind: str, nano_settings: Qwen2VL) -> None:
    pytest.importorskip("bitsandbytes")
    settings = nano_settings.model_copy(update={"quantize": kind})
    expected = probabilities(on(settings, "cpu", "float32"))
    torch.testing.assert_close(probabilities(on(settings, "cuda", "float32")), expected, atol=1e-3, rtol=0)


def dialogues(n: int) -> list[Sample]:
    labels = builtin_taxonomy("dialogue").labels
    words = ("会生锈吗", "什么时候有货", "冬天能穿吗")
    return [
        Sample(
            id=str(row),
            prompt=parse_prompt(dialogue_instruction(f"用户: {words[row % 3]}{'?' * row}")),
            label=labels[row % 3],
        )
        for row in range(n)
    ]


def trained(settings: Qwen2VL, base: Base, folder: Path) -> Path:
    """An adapter after two epochs on the base's device."""
    recipe = settings.dialogue.model_copy(
        update={"epochs": 2, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 2e-3}
    )
    whole = load_settings("nano").model_copy(update={"qwen2vl": settings.model_copy(update={"dialogue": recipe})})
    train_adapter(
        base, dialogues(12), dialogues(3), taxonomy=builtin_taxonomy("dialogue"), settings=whole, folder=folder
    )
    return folder


@pytest.fixture
def adapter(nano_settings: Qwen2VL, tmp_path: Path) -> Path:
    return trained(nano_settings, on(nano_settings, "cuda", "bfloat16"), tmp_path / "adapter")


def voter(settings: Qwen2VL, base: Base, folder: Path) -> Qwen2VLVoter:
    return Qwen2VLVoter.load(folder, taxonomy=builtin_taxonomy("dialogue"), settings=settings, base=base)


def votes(voter: Qwen2VLVoter, samples: list[Sample]) -> list[tuple[float, ...]]:
    return [vote.probabilities for vote in voter.vote(samples) if vote]


def test_an_adapter_that_the_gpu_trained_votes_alike_apart_merged_and_on_the_cpu(
    nano_settings: Qwen2VL, adapter: Path
) -> None:
    expected = votes(voter(nano_settings, on(nano_settings, "cpu", "float32"), adapter), dialogues(9))
    for how in ("apart", "merged"):
        settings = nano_settings.model_copy(update={"adapters": how})
        got = votes(voter(settings, on(settings, "cuda", "bfloat16"), adapter), dialogues(9))
        np.testing.assert_allclose(got, expected, atol=0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {"r_drop": 1.0, "class_weights": "balanced"},
        {"ema": 0.9, "brier": 1.0, "label_smoothing": 0.1},
        {"gradient_checkpointing": True},
    ],
)
@pytest.mark.parametrize("kind", ["none", "nf4"])
def test_every_way_of_training_runs_on_the_gpu(
    changes: dict[str, object], kind: str, nano_settings: Qwen2VL, tmp_path: Path
) -> None:
    """Adapters change the answers, which stay finite."""
    if kind != "none":
        pytest.importorskip("bitsandbytes")
    lora = nano_settings.lora.model_copy(update={"dropout": 0.1})
    dialogue = nano_settings.dialogue.model_copy(update=changes)
    settings = nano_settings.model_copy(update={"quantize": kind, "lora": lora, "dialogue": dialogue})
    base = on(settings, "cuda", "bfloat16")
    folder = trained(settings, base, tmp_path / "adapter")
    own = voter(settings, on(settings, "cuda", "bfloat16"), folder)
    got, before = votes(own, dialogues(9)), votes(own.untrained(), dialogues(9))
    assert np.isfinite(got).all()
    assert np.abs(np.array(got) - before).max() > 0.01


def test_clip_embeds_as_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both write to one cache."""
    picture = tmp_path / "picture.png"
    Image.effect_noise((60, 90), 80).convert("RGB").save(picture)
    found = []
    for name, gpu in (("gpu", True), ("cpu", False)):
        monkeypatch.setenv("MIRE_CACHE", str(tmp_path / name))
        monkeypatch.setattr("torch.cuda.is_available", lambda gpu=gpu: gpu)
        found.append(Embedder(Clip(model="mire-nano", weights="random")).embed([picture])[picture])
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """A process that may take 256 MiB of the device's memory."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(2**28 / torch.cuda.get_device_properties(0).total_memory)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("little_memory")
def test_a_row_beyond_memory_is_halved(nano_settings: Qwen2VL, adapter: Path) -> None:
    samples = dialogues(4000)
    settings = nano_settings.model_copy(update={"token_budget": 400_000})
    base = on(settings, "cuda", "bfloat16")
    assert len(votes(voter(settings, base, adapter), samples)) == 4000
    assert base.most_tokens < 400_000, "a row was halved, and the size is remembered"
