"""The arithmetic of a plan, by hand, and against what torch really keeps and counts."""

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pytest

from mire.doctor.training_cost import (
    KEPT_BY_LAYER,
    KEPT_FOR_DROPOUT,
    BytesPerNumber,
    LongestSample,
    Shape,
    TrainingCost,
    count_nodes,
    forward_operations,
    training_operations,
)
from mire.labels import builtin_taxonomy
from mire.model_sizes import base_config, count_base
from mire.settings import Lora, Qwen2VL, Training, load_settings

SEVEN_B = Shape(3584, 18944, 28, 3584, 512, 152064, 1280, 5120, 32)
TINY = Shape(hidden=4, mlp=8, layers=2, query=4, kv=2, vocabulary=10, vision=2, vision_mlp=4, depth=3)


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


# As the hub gives them, and as the model classes count them.
SIZES = {
    "Qwen2-VL-2B": 2_208_985_600,
    "Qwen2.5-VL-3B": 3_754_622_976,
    "Qwen2.5-VL-7B": 8_292_166_656,
    "Qwen3-VL-2B": 2_127_532_032,
    "Qwen3-VL-4B": 4_437_815_808,
    "Qwen3-VL-8B": 8_767_123_696,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_other_bases_are_counted_exactly_and_forecast_from_their_shape(name: str) -> None:
    base = f"Qwen/{name}-Instruct"
    n_base, n_adapter = count_base(Qwen2VL(base=base))
    assert n_base == SIZES[name]
    shape = Shape.read(base_config(base))
    assert shape.parameters == pytest.approx(n_base, rel=2e-3)
    assert shape.adapter(Lora()) == n_adapter


def test_nf4_by_hand() -> None:
    # Two layers of 144 weights: half a byte each, a byte per 64 and four per 16,384; instead of four bytes.
    assert TINY.saved("nf4", 4) == int(288 * (4 - 0.5 - 1 / 64 - 4 / 16384))
    assert TINY.saved("none", 4) == 0
    plan = TrainingCost(TINY, LongestSample(3, 1, 1), Lora(), Training(), "ddp", 1, width=4, quantize="int8")
    assert plan.memory["base"] == 4 * TINY.parameters - 288 * 3
    assert plan.memory["restored matrix"] == 4 * 8 * (4 + 8)


def test_nodes_are_the_distinct_heads_of_the_labels() -> None:
    assert count_nodes(["ab", "ac", "d"]) == 4  # a, ab, ac, d


def test_operations_by_hand() -> None:
    # layer: 4 x (8 + 4 + 24) = 144 weights; block: 2 x (8 + 8) = 32; merger: 64 + 32 = 96
    # Five places, two of them read: the last layer gives keys and values (2 x 4 x 2 weights) for all, the rest for two.
    language, vision = forward_operations(TINY, LongestSample(n_text=3, n_visual=1, n_nodes=1))
    assert language == (2 * 144 + 4 * 5 * 4) * 5 + 2 * 16 * 5 + (2 * 128 + 4 * 5 * 4) * 2 + 2 * 40 * 2
    assert vision == 2 * (32 * 3 + 588 * 2) * 4 + 4 * 16 * 2 * 3 + 2 * 96
    row, checkpoints, none = LongestSample(3, 1, 1), Training(), Training(gradient_checkpointing=False)
    assert training_operations(TINY, row, Lora(), checkpoints) == 3 * language + vision
    assert training_operations(TINY, row, Lora(vision=True), none) == 2 * (language + vision)
    assert training_operations(TINY, row, Lora(), Training(r_drop=1)) == 2 * (3 * language + vision)


def test_memory_by_hand() -> None:
    training = Training(batch_size=4, micro_batch_size=2, gradient_checkpointing=True)
    plan = TrainingCost(TINY, LongestSample(3, 1, 1), Lora(rank=1, dropout=0), training, "ddp", n_devices=1, width=4)
    # adapter: layer 2 x 8 + 2 x 6 + 3 x 12 = 64, two layers
    assert plan.n_adapter == 128
    assert plan.transient_bytes == {
        "vision tower": 2 * 4 * (8 * 2 + 2 * 4) * 4,
        "label trie": 2 * 2 * 10 * 12,
        "one layer": 2 * 5 * (36 * 4 + 16 * 8 + 28),
    }
    assert plan.memory == {
        "base": 4 * TINY.parameters,
        "adapter and its gradients": 128 * 8,
        "optimiser": 128 * 8,
        "kept activations": 2 * 5 * 4 * 4 * 2 + 2 * 4 * 588 * 4,
        "working memory": 2 * 5 * (36 * 4 + 16 * 8 + 28),
    }


@pytest.mark.parametrize("checkpoints", [False, True])
def test_two_passes_are_kept_and_of_the_first_the_log_softmax(checkpoints: bool) -> None:
    one, two = (
        TrainingCost(
            TINY,
            LongestSample(3, 1, 1),
            Lora(),
            Training(batch_size=4, micro_batch_size=2, gradient_checkpointing=checkpoints, r_drop=r_drop),
            "ddp",
            n_devices=1,
            width=4,
        )
        for r_drop in (0, 0.5)
    )
    # Two samples, two positions read, ten words.
    kept = 2 * one.memory["kept activations"] + 2 * 2 * 10 * 4
    assert two.memory == one.memory | {"kept activations": kept}
    assert two.transient_bytes == one.transient_bytes, "one pass after the other"


@pytest.mark.parametrize(
    ("n_visual", "checkpoints", "micro_batch_size", "gib"),
    [
        (576, True, 4, 18.9),
        (1272, True, 4, 20.7),
        (576, False, 4, 47.4),
        (1272, False, 4, 67.4),
        (576, False, 8, 78.3),
        (1272, False, 8, 118.7),
    ],
)
def test_the_computed_peak_is_that_of_an_h200_within_seven_percent(
    n_visual: int, checkpoints: bool, micro_batch_size: int, gib: float
) -> None:
    """What torch allocated there of the 7B, 352 tokens of text beside the visual ones."""
    training = Training(
        batch_size=micro_batch_size, micro_batch_size=micro_batch_size, gradient_checkpointing=checkpoints
    )
    plan = TrainingCost(SEVEN_B, LongestSample(352, n_visual, 140), Lora(), training, "ddp", 1, 2)
    assert 0.93 < sum(plan.memory.values()) / 2**30 / gib < 1.07


def test_what_devices_share() -> None:
    def memory(kind: str, n_devices: int) -> dict[str, int]:
        plan = TrainingCost(SEVEN_B, LongestSample(350, 1148, 120), Lora(), Training(), kind, n_devices, 2)  # type: ignore[arg-type]
        return plan.memory

    one, ddp, fsdp = memory("ddp", 1), memory("ddp", 4), memory("fsdp", 4)
    assert one["base"] == ddp["base"] == 2 * SEVEN_B.parameters
    assert fsdp["base"] == 2 * SEVEN_B.parameters // 4 + 2 * 2 * SEVEN_B.embedding
    assert one["optimiser"] == ddp["optimiser"] == fsdp["optimiser"], "the adapter is whole on every device"
    for part in ("kept activations", "working memory"):
        assert ddp[part] == one[part], "four samples at a time on either"
        assert memory("ddp", 8)[part] == one[part] // 2, "a batch of 16 leaves two to each of 8"


def test_seconds_by_hand() -> None:
    plan = TrainingCost(TINY, LongestSample(3, 1, 1), Lora(), Training(), "ddp", n_devices=2, width=2)
    operations = training_operations(TINY, LongestSample(3, 1, 1), Lora(), Training())
    assert plan.seconds(1000, 1e6) == pytest.approx(1000 * operations / 2e6)


def use_gpu_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout whose masks take a byte per number, as a GPU's: for a GPU are the forecasts of bfloat16."""
    import torch

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        return torch.native_dropout(x, p, training)[0]

    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("dropout", [0.0, 0.05])
def test_torch_keeps_what_the_forecast_computes(
    monkeypatch: pytest.MonkeyPatch, width: BytesPerNumber, dropout: float
) -> None:
    """A third layer more, at nano's widths: within two percent of the formula."""
    if width == 2:
        use_gpu_masks(monkeypatch)
    of_hidden, of_mlp, of_rank = KEPT_BY_LAYER[width]
    if dropout:
        of_hidden, of_mlp = (a + b for a, b in zip((of_hidden, of_mlp), KEPT_FOR_DROPOUT[width], strict=True))
    layer = of_hidden * 128 + of_mlp * 320 + of_rank * 8
    (more, n_tokens), (less, _) = (kept_bytes(monkeypatch, width, dropout, n_layers) for n_layers in (3, 2))
    assert (more - less) / n_tokens == pytest.approx(layer, rel=0.02)


@dataclass(frozen=True)
class Step:
    """A model of nano's widths with an adapter, and a batch of screens."""

    model: Any
    batch: Any
    trie: Any
    row: LongestSample

    def forward(self, width: BytesPerNumber) -> Any:
        import torch

        from experts.qwen2vl.model.scoring import label_log_likelihoods

        with torch.autocast("cpu", dtype=torch.bfloat16) if width == 2 else nullcontext():
            return label_log_likelihoods(self.model, self.batch, self.trie)


def make_step(monkeypatch: pytest.MonkeyPatch, width: BytesPerNumber, lora: Lora, n_layers: int, n_visual: int) -> Step:
    import torch
    from peft import LoraConfig, get_peft_model

    from experts.qwen2vl.inputs.batch import pack
    from scripts.benchmarks import synthetic

    shape = synthetic.base_shape("nano")
    shape["text_config"]["num_hidden_layers"] = n_layers
    monkeypatch.setattr(synthetic, "base_shape", lambda base: shape)
    model = synthetic.random_model("nano", "cpu", torch.bfloat16 if width == 2 else torch.float32)
    config = LoraConfig(r=lora.rank, lora_dropout=lora.dropout, target_modules=lora.target_modules)
    model = get_peft_model(model, config).train()
    trie = synthetic.label_trie(builtin_taxonomy("image"))
    screens = synthetic.prompts(model, 4, n_visual=n_visual, n_text=128)
    batch = pack(screens, trie, image_pad=model.config.image_token_id, pad=0)
    n_visual = screens[0].pictures[0].n_tokens
    return Step(model, batch, trie, LongestSample(len(screens[0]) - n_visual, n_visual, len(trie.inner)))


def kept_bytes(
    monkeypatch: pytest.MonkeyPatch, width: BytesPerNumber, dropout: float, n_layers: int
) -> tuple[int, int]:
    """Bytes of all that autograd keeps of one pass, weights aside, and the pass's tokens."""
    import torch

    step = make_step(monkeypatch, width, Lora(rank=8, dropout=dropout), n_layers, 64)
    weights = {parameter.untyped_storage().data_ptr() for parameter in step.model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step.forward(width)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()), step.batch.ids.numel()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "r_drop"), [(2, 0), (4, 0), (4, 1)])
@pytest.mark.parametrize("checkpoints", [False, True])
def test_the_fullest_moment_is_near_what_torch_allocates(
    monkeypatch: pytest.MonkeyPatch, width: BytesPerNumber, r_drop: float, checkpoints: bool
) -> None:
    """Within a fifth, at nano's widths."""
    from torch.profiler import ProfilerActivity, profile

    if width == 2:
        use_gpu_masks(monkeypatch)
    lora = Lora(rank=8, dropout=0.05)
    step = make_step(monkeypatch, width, lora, 2, 200)
    if checkpoints:
        step.model.gradient_checkpointing_enable({"use_reentrant": False})
    step.forward(width).sum().backward()  # what is built once
    step.model.zero_grad()
    training = Training(batch_size=4, micro_batch_size=4, gradient_checkpointing=checkpoints, r_drop=r_drop)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        sum(step.forward(width).sum() for _ in range(training.n_passes)).backward()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    peak = max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))
    plan = TrainingCost(Shape.read(base_config("nano")), step.row, lora, training, "ddp", 1, width)
    assert plan.memory["kept activations"] + plan.memory["working memory"] == pytest.approx(peak, rel=0.2)


@pytest.mark.slow
def test_torch_counts_the_operations_that_the_forecast_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from scripts.benchmarks.machine import count_flops

    step = make_step(monkeypatch, 4, Lora(), 2, 64)
    assert count_nodes(builtin_taxonomy("image").labels) == step.row.n_nodes
    with torch.inference_mode(), step.model.disable_adapter():
        counted = count_flops(lambda: step.forward(4))
    assert 4 * sum(forward_operations(Shape.read(base_config("nano")), step.row)) == pytest.approx(counted, rel=0.02)
