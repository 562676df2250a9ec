"""The arithmetic of a plan, by hand, and against what torch really keeps and counts."""

import sys
from pathlib import Path

import pytest

from mire.labels import builtin_taxonomy
from mire.parameters import base_config, count_base
from mire.plan import (
    KEPT_BY_LAYER,
    KEPT_FOR_DROPOUT,
    Plan,
    Row,
    Shape,
    Width,
    count_nodes,
    forward_operations,
    training_operations,
)
from mire.settings import Lora, Training, load_settings

SEVEN_B = Shape(3584, 18944, 28, 512, 152064, 1280, 5120, 32)
TINY = Shape(hidden=4, mlp=8, layers=2, kv=2, vocabulary=10, vision=2, vision_mlp=4, depth=3)


def test_qwen2_vl_7b_by_its_shape() -> None:
    assert Shape.read(base_config("Qwen/Qwen2-VL-7B-Instruct")) == SEVEN_B
    assert SEVEN_B.parameters == 8_291_375_616
    assert SEVEN_B.adapter(Lora(rank=16)) == 40_370_176


@pytest.mark.parametrize("vision", [True, False])
def test_nano_agrees_with_its_modules(vision: bool) -> None:
    settings = load_settings("nano").qwen2vl
    settings = settings.model_copy(update={"lora": settings.lora.model_copy(update={"vision": vision})})
    shape = Shape.read(base_config("nano"))
    assert (shape.parameters, shape.adapter(settings.lora)) == count_base(settings)


def test_nodes_are_the_distinct_heads_of_the_labels() -> None:
    assert count_nodes(["ab", "ac", "d"]) == 4  # a, ab, ac, d


def test_operations_by_hand() -> None:
    # layer: 4 x (8 + 4 + 24) = 144 weights; block: 2 x (8 + 8) = 32; merger: 64 + 32 = 96
    language, vision = forward_operations(TINY, Row(n_text=3, n_visual=1, n_nodes=1))
    assert language == 2 * 144 * 2 * 5 + 4 * 25 * 4 * 2 + 2 * 40 * 2
    assert vision == 2 * (32 * 3 + 1176 * 2) * 4 + 4 * 16 * 2 * 3 + 2 * 96
    row, checkpoints, none = Row(3, 1, 1), Training(), Training(gradient_checkpointing=False)
    assert training_operations(TINY, row, Lora(), checkpoints) == 3 * language + vision
    assert training_operations(TINY, row, Lora(vision=True), none) == 2 * (language + vision)


def test_memory_by_hand() -> None:
    training = Training(batch_size=4, micro_batch_size=2, gradient_checkpointing=True)
    plan = Plan(TINY, Row(3, 1, 1), Lora(rank=1, dropout=0), training, "ddp", n_devices=1, width=4)
    # adapter: layer 2 x 8 + 2 x 6 + 3 x 12 = 64, two layers
    assert plan.n_adapter == 128
    layer, block = 32 * 4 + 16 * 8 + 28, 57 * 2 + 16 * 4
    assert plan.memory == {
        "base": 4 * TINY.parameters,
        "adapter and its gradients": 128 * 8,
        "optimiser": 128 * 8,
        "activations": 2 * 5 * (2 * 4 * 4 + layer) + 2 * 4 * (block + 1176 * 8),
        "label trie": 2 * (2 * 10 * 12 + 25 * 5),
    }


def test_what_devices_share() -> None:
    def memory(kind: str, n_devices: int) -> dict[str, int]:
        plan = Plan(SEVEN_B, Row(350, 1148, 120), Lora(), Training(), kind, n_devices, 2)  # type: ignore[arg-type]
        return plan.memory

    one, ddp, zero2, fsdp = memory("ddp", 1), memory("ddp", 4), memory("zero2", 4), memory("fsdp", 4)
    assert one["base"] == ddp["base"] == zero2["base"] == 2 * SEVEN_B.parameters
    assert fsdp["base"] == 2 * SEVEN_B.parameters // 4 + 2 * 2 * SEVEN_B.embedding
    assert zero2["optimiser"] == ddp["optimiser"] // 4 == fsdp["optimiser"] // 4
    assert ddp["activations"] == one["activations"], "four samples at a time on either"
    assert memory("ddp", 8)["activations"] == one["activations"] // 2, "a batch of 16 leaves two to each of 8"


def test_seconds_by_hand() -> None:
    plan = Plan(TINY, Row(3, 1, 1), Lora(), Training(), "ddp", n_devices=2, width=2)
    operations = training_operations(TINY, Row(3, 1, 1), Lora(), Training())
    assert plan.seconds(1000, 1e6) == pytest.approx(1000 * operations / 2e6)


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("dropout", [0.0, 0.05])
def test_torch_keeps_what_the_plan_says(monkeypatch: pytest.MonkeyPatch, width: Width, dropout: float) -> None:
    """A third layer more, at nano's widths: within two percent of the formula."""
    of_hidden, of_mlp, of_rank = KEPT_BY_LAYER[width]
    if dropout:
        of_hidden, of_mlp = (a + b for a, b in zip((of_hidden, of_mlp), KEPT_FOR_DROPOUT[width], strict=True))
    layer = of_hidden * 128 + of_mlp * 320 + of_rank * 8
    (more, n_tokens), (less, _) = (kept_bytes(monkeypatch, width, dropout, n_layers) for n_layers in (3, 2))
    assert (more - less) / n_tokens == pytest.approx(layer, rel=0.02)


def kept_bytes(monkeypatch: pytest.MonkeyPatch, width: Width, dropout: float, n_layers: int) -> tuple[int, int]:
    """Bytes of all that autograd keeps of one pass, weights aside, and the pass's tokens."""
    from contextlib import nullcontext

    import torch
    from peft import LoraConfig, get_peft_model

    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    from benchmark import synthetic

    from experts.qwen2vl.batch import collate
    from experts.qwen2vl.scoring import label_log_likelihoods

    shape = synthetic.base_shape("nano")
    shape["text_config"]["num_hidden_layers"] = n_layers
    monkeypatch.setattr(synthetic, "base_shape", lambda base: shape)
    model = synthetic.random_model("nano", "cpu").to(torch.bfloat16 if width == 2 else torch.float32)
    lora = LoraConfig(r=8, lora_dropout=dropout, target_modules=Lora().target_modules)
    model = get_peft_model(model, lora).train()
    trie = synthetic.label_trie(builtin_taxonomy("image"))
    made = synthetic.prompts(model, 2, n_visual=64, n_text=128)
    batch = collate(made, trie, image_pad=model.config.image_token_id, pad=0)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    low = torch.autocast("cpu", dtype=torch.bfloat16) if width == 2 else nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), low:
        label_log_likelihoods(model, batch, trie).sum()
    assert "benchmark.synthetic" in sys.modules
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()), batch.ids.numel()


@pytest.mark.slow
def test_torch_counts_the_operations_that_the_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    from benchmark.machine import count_flops
    from benchmark.synthetic import label_trie, prompts, random_model

    from experts.qwen2vl.batch import collate
    from experts.qwen2vl.scoring import label_log_likelihoods

    model, trie = random_model("nano", "cpu"), label_trie(builtin_taxonomy("image"))
    (screen,) = prompts(model, 1, n_visual=64, n_text=128)
    batch = collate([screen], trie, image_pad=model.config.image_token_id, pad=0)
    n_visual = screen.pictures[0].n_tokens
    row = Row(len(screen) - n_visual, n_visual, len(trie.inner))
    assert count_nodes(builtin_taxonomy("image").labels) == row.n_nodes
    with torch.inference_mode():
        counted = count_flops(lambda: label_log_likelihoods(model, batch, trie))
    assert sum(forward_operations(Shape.read(base_config("nano")), row)) == pytest.approx(counted, rel=0.02)
