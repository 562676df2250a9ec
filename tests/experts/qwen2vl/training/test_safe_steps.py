"""Steps that end a training before it spoils the adapter, and the backward pass that a frozen tower is spared."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from qwen2vl_inputs import made_up_prompt

from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.model.scoring import label_log_likelihoods
from mire.errors import PanelError

TRIE = LabelTrie.build([[10, 11, 5], [10, 12, 5]])


def safe_steps() -> Any:
    from experts.qwen2vl.training.safe_steps import SafeSteps

    return SafeSteps()


@pytest.mark.parametrize("gradient", [float("nan"), float("inf"), 1.0])
def test_gradients_that_are_no_numbers_end_the_training(gradient: float) -> None:
    model = torch.nn.Linear(3, 2)
    model.weight.grad = torch.ones(2, 3)
    model.weight.grad[1, 2] = gradient
    arguments, state = SimpleNamespace(fp16=False), SimpleNamespace(global_step=6)
    if gradient == 1.0:
        safe_steps().on_pre_optimizer_step(arguments, state, None, model=model)
        return
    with pytest.raises(PanelError, match="stopped at step 7: its gradients are no finite numbers; .* learning_rate"):
        safe_steps().on_pre_optimizer_step(arguments, state, None, model=model)
    # In float16 a step may overflow; the trainer skips it.
    safe_steps().on_pre_optimizer_step(SimpleNamespace(fp16=True), state, None, model=model)


def backward(base: Base, model: Any) -> tuple[int, list[torch.Tensor]]:
    """Operations of a training step's backward pass, and the adapters' gradients."""
    from torch.utils.flop_counter import FlopCounterMode

    rng = np.random.default_rng(0)
    prompts = [made_up_prompt(base, rng, 12, [(3, 4)]) for _ in range(2)]
    loss = label_log_likelihoods(model, pack(prompts, TRIE, image_pad=base.image_pad, pad=base.pad), TRIE).sum()
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    return counter.get_total_flops(), gradients


def test_a_frozen_tower_is_not_run_backwards(base: Base) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    options = LoraConfig(target_modules=r".*language_model\..*\.q_proj", init_lora_weights=False)
    model = get_peft_model(base.model, options).train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    hooked, expected = backward(base, model)
    safe_steps().on_train_begin(None, None, None, model=model)
    spared, gradients = backward(base, model)
    assert spared < 0.9 * hooked
    assert len(gradients) == len(expected) > 0
    for mine, other in zip(gradients, expected, strict=True):
        assert torch.equal(mine, other)
