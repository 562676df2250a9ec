"""Compiled layers give the same scores, and a new length needs no new graph."""

import numpy as np
import pytest
import torch
from qwen2vl_inputs import made_up_prompt

from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.model.merged_weights import MergedModel
from experts.qwen2vl.model.scoring import label_log_likelihoods
from experts.qwen2vl.voter import BUCKET

END = 5
TRIE = LabelTrie.build([[10, 11, END], [10, END], [12, 13, 14, END]])


def sets_of_prompts(base: Base) -> list[list[EncodedPrompt]]:
    """Five sets of other sizes: more and longer prompts, up to ten, other pictures, none in the third."""
    rng = np.random.default_rng(0)
    grids = ([(2, 2), (1, 3)], [(3, 2)], [], [(2, 5), (4, 3), (1, 1)], [(1, 2)])
    return [
        [made_up_prompt(base, rng, 20 + 60 * number + row, grid) for row in range(2 + 2 * number)]
        for number, grid in enumerate(grids)
    ]


@pytest.mark.slow
def test_compiled_layers_give_the_same_scores_with_few_graphs(base: Base) -> None:
    from peft import LoraConfig, get_peft_model
    from torch._dynamo.utils import counters

    options = LoraConfig(target_modules=r".*language_model\..*\.(?:q_proj|up_proj)", init_lora_weights=False)
    torch.manual_seed(0)
    model = MergedModel(get_peft_model(base.model, options, adapter_name="image")).use("image")
    padding = {"image_pad": base.image_pad, "pad": base.pad, "multiple": BUCKET}

    def scores(prompts: list[EncodedPrompt]) -> torch.Tensor:
        with torch.inference_mode():
            return label_log_likelihoods(model, pack(prompts, TRIE, **padding), TRIE)

    prompts = sets_of_prompts(base)
    expected = [scores(some) for some in prompts]
    counters.clear()  # other tests may have compiled something
    base.compile()
    base.compile()
    torch.testing.assert_close(scores(prompts[0]), expected[0], atol=1e-4, rtol=1e-4)
    n_graphs = counters["stats"]["unique_graphs"]
    assert n_graphs > 0
    for some, plain in zip(prompts, expected, strict=True):
        torch.testing.assert_close(scores(some), plain, atol=1e-4, rtol=1e-4)
    assert counters["stats"]["unique_graphs"] == n_graphs, "another length needed another graph"
