"""The usual ways to classify, for comparison: generating the label, and one pass per label."""

from collections.abc import Sequence
from typing import Any

import torch

from experts.qwen2vl.families import FAMILIES
from experts.qwen2vl.inputs.batch import normalise, pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.pictures import TEMPORAL
from experts.qwen2vl.inputs.prompt import EncodedPrompt

NO_LABELS = LabelTrie((), (), ())


def generate(
    model: Any, prompts: Sequence[EncodedPrompt], *, size: int, n_new: int, image_pad: int, pad: int, end: int
) -> list[list[int]]:
    """The tokens that ``generate`` gives for each prompt, greedy, stopped at the end of the turn or after ``n_new``."""
    answers: list[list[int]] = []
    for start in range(0, len(prompts), size):
        inputs = generation_inputs(model, prompts[start : start + size], image_pad=image_pad, pad=pad)
        given = model.generate(**inputs, max_new_tokens=n_new, do_sample=False, eos_token_id=end, pad_token_id=pad)
        answers += given[:, inputs["input_ids"].shape[1] :].tolist()
    return answers


def generation_inputs(model: Any, prompts: Sequence[EncodedPrompt], *, image_pad: int, pad: int) -> dict[str, Any]:
    """What a processor would give: ids padded on the left, an ordinary mask, normalised pixels."""
    batch = pack(prompts, NO_LABELS, image_pad=image_pad, pad=pad).to(model.device)
    rows = batch.ids[0].split([len(prompt) for prompt in prompts])
    # Not pad_sequence: of some versions it cannot be called while operations are counted.
    width = max(map(len, rows))
    ids = torch.stack([torch.nn.functional.pad(row, (width - len(row), 0), value=pad) for row in rows])
    mask = torch.stack([torch.nn.functional.pad(torch.ones_like(row), (width - len(row), 0)) for row in rows])
    inputs = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": (ids == image_pad).int()}
    if batch.pixels is not None:
        family = FAMILIES[model.config.model_type]
        inputs["pixel_values"] = normalise(batch.pixels, family, next(model.parameters()).dtype, n_frames=TEMPORAL)
        inputs["image_grid_thw"] = batch.grids
    return inputs


def separate_passes(
    model: Any,
    prompts: Sequence[EncodedPrompt],
    labels: Sequence[Sequence[int]],
    *,
    image_pad: int,
    pad: int,
    size: int,
) -> list[int]:
    """The best label of each prompt by one pass per label: the whole text again, followed by the label."""
    scores = []
    for label in labels:
        longer = [EncodedPrompt(p.sample_id, (*p.ids, *label), p.pictures, ()) for p in prompts]
        column: list[float] = []
        for start in range(0, len(longer), size):
            inputs = generation_inputs(model, longer[start : start + size], image_pad=image_pad, pad=pad)
            logits = model(**inputs, logits_to_keep=len(label) + 1, use_cache=False).logits.float()
            steps = logits[:, :-1].log_softmax(-1)
            column += steps[:, range(len(label)), list(label)].sum(-1).tolist()
        scores.append(column)
    return torch.tensor(scores).argmax(0).tolist()
