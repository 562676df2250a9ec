from typing import Any

import pytest
import torch

from experts.qwen2vl.model.merged_weights import MergedModel


class Layers(torch.nn.Module):
    """Two linear layers; the adapters below change the first, or both."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(6, 5), torch.nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x)))


def adapted(dtype: torch.dtype = torch.float32) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    options: dict[str, Any] = {"r": 2, "lora_alpha": 4, "init_lora_weights": False}
    model = get_peft_model(Layers(), LoraConfig(target_modules=["first"], **options), adapter_name="image")
    model.add_adapter("dialogue", LoraConfig(target_modules=["first", "second"], **options))
    return model.to(dtype).eval()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 3e-2)])
def test_merged_equals_unmerged(dtype: torch.dtype, tolerance: float) -> None:
    inputs = torch.randn(8, 6, dtype=dtype)
    for task in ("image", "dialogue"):
        model = adapted(dtype)
        model.set_adapter(task)
        expected = model(inputs)
        got = MergedModel(model).use(task)(inputs)
        torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)


def test_changing_tasks_a_hundred_times_leaves_no_trace() -> None:
    model, inputs = adapted(torch.bfloat16), torch.randn(8, 6, dtype=torch.bfloat16)
    merged = MergedModel(model)
    first = merged.use("image")(inputs)
    for _ in range(100):
        merged.use("dialogue")
        merged.use("image")
    assert torch.equal(merged.use("image")(inputs), first)


def test_weights_that_a_task_does_not_adapt_are_the_base_s() -> None:
    model = adapted()
    pristine = model.base_model.model.second.base_layer.weight.detach().clone()
    merged = MergedModel(model)
    merged.use("dialogue")
    assert not torch.equal(model.base_model.model.second.base_layer.weight, pristine)
    merged.use("image")
    assert torch.equal(model.base_model.model.second.base_layer.weight, pristine)


def test_without_a_task_the_model_is_the_base() -> None:
    model, inputs = adapted(), torch.randn(8, 6)
    merged = MergedModel(model)
    with model.disable_adapter():
        expected = model(inputs)
    changed = merged.use("image")(inputs)
    assert not torch.equal(changed, expected)
    assert torch.equal(merged.use(None)(inputs), expected)
    assert torch.equal(merged.use("image")(inputs), changed)
