"""Adapters beside the base's weights: answers of merged ones in float32, and all of their effect in bfloat16."""

from typing import Any

import numpy as np
import pytest
import torch
from qwen2vl_inputs import made_up_prompt
from torch import Tensor

from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.model.scoring import prompt_logits
from mire.settings import Qwen2VL

TRIE = LabelTrie.build([[10, 11, 5], [10, 5], [12, 13, 14, 5]])


def gain(got: Tensor, wanted: Tensor) -> float:
    """How much of the wanted change is in the change that was got: 1.0 is all of it."""
    return float((got * wanted).sum() / (wanted * wanted).sum())


class Layer(torch.nn.Module):
    """A part of a linear layer of a 7B: as many inputs, and weights of that size."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(3584, 128, bias=False)
        torch.nn.init.normal_(self.up.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.up(x)
        return found


def adapted(base: Any, std: float, pattern: str, *, apart: bool) -> Any:
    """The base with two tasks' adapters whose B has this standard deviation."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    options = LoraConfig(r=16, lora_alpha=32, target_modules=pattern)
    model = get_peft_model(base, options, adapter_name="image", autocast_adapter_dtype=not apart)
    model.add_adapter("dialogue", options, autocast_adapter_dtype=not apart)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=std)
    return model.eval()


@pytest.mark.parametrize("std", [5e-4, 1e-3])
def test_a_small_adapter_keeps_its_effect_in_bfloat16(std: float) -> None:
    torch.manual_seed(0)
    x, plain = torch.randn(64, 3584).bfloat16(), Layer().bfloat16()
    before, weights = plain(x).detach().float(), plain.up.weight.detach().clone()
    model = adapted(plain, std, "up", apart=True)
    layer = model.base_model.model.up
    # alpha / rank is 2
    wanted = 2.0 * x.float() @ layer.lora_A["dialogue"].weight.float().T @ layer.lora_B["dialogue"].weight.float().T
    with torch.inference_mode():
        assert 0.97 < gain(use(model, "dialogue")(x).float() - before, wanted) < 1.03
        assert torch.equal(layer.base_layer.weight, weights)
        torch.testing.assert_close(use(model, None)(x).float(), before, atol=2e-2, rtol=1e-2)
        # What merging makes of the same adapter.
        change = layer.get_delta_weight("dialogue").float()
        merged = (weights.float() + change).bfloat16().float() - weights.float()
        assert gain(merged, change) < (0.85 if std == 5e-4 else 0.98)


def use(model: Any, task: str | None) -> Any:
    from experts.qwen2vl.model.apart_adapters import ApartAdapters

    return ApartAdapters(model).use(task)  # type: ignore[arg-type]


def logits(base: Base, model: Any) -> Tensor:
    rng = np.random.default_rng(0)
    prompts = [made_up_prompt(base, rng, 30, grid) for grid in ([(2, 3)], [], [(1, 2), (2, 2)])]
    with torch.inference_mode():
        return prompt_logits(model, pack(prompts, TRIE, image_pad=base.image_pad, pad=base.pad))


def test_nano_gets_the_change_of_each_task(nano_settings: Qwen2VL) -> None:
    """Against what PEFT itself computes."""
    exact, base = load_base(nano_settings, device="cpu"), load_base(nano_settings, device="cpu")
    pattern = nano_settings.lora.target_modules
    reference, model = (
        adapted(some.model, 1e-2, pattern, apart=apart) for some, apart in ((exact, False), (base, True))
    )
    found = {}
    for task in ("image", "dialogue", "image"):
        reference.set_adapter(task)
        found[task] = logits(base, use(model, task))
        torch.testing.assert_close(found[task], logits(exact, reference), atol=1e-5, rtol=1e-4)
    assert (found["image"] - found["dialogue"]).abs().max() > 1e-3


def test_auto_merges_only_where_that_is_exact(nano_settings: Qwen2VL) -> None:
    def apart(**entries: str) -> bool:
        return load_base(nano_settings.model_copy(update=entries), device="cpu").apart

    assert [apart(), apart(dtype="bfloat16"), apart(dtype="float16")] == [False, True, True]
    assert [apart(adapters="apart"), apart(dtype="bfloat16", adapters="merged")] == [True, False]


def test_logits_are_finer_than_bfloat16(nano_settings: Qwen2VL) -> None:
    base = load_base(nano_settings.model_copy(update={"dtype": "bfloat16"}), device="cpu")
    states = torch.randn(2, 3, base.model.config.get_text_config().hidden_size).bfloat16()
    with torch.inference_mode():
        found = base.model.lm_head(states)
    expected = states.float() @ base.model.lm_head.weight.float().T
    assert found.dtype == torch.float32 and found.shape == (2, 3, len(base.model.lm_head.weight))
    torch.testing.assert_close(found, expected)
    assert not torch.equal(found, found.bfloat16().float())
