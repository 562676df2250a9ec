"""The trainer's inputs: lengths without decoding, batches, and an order of samples that groups similar lengths."""

from pathlib import Path

import pytest
from PIL import Image
from records import dialogue_instruction, image_instruction

from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.training.dataset import Collator, LengthGroupedSampler, PromptDataset, length_groups
from experts.qwen2vl.voter import prompt_encoder
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Qwen2VL

LENGTHS = [(7 * number) % 100 + 1 for number in range(200)]


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Screens of several sizes, one turned by its EXIF tag, one missing; and a dialogue with two pictures."""
    sizes = [(60, 120), (120, 60), (300, 90), (28, 28)]
    paths = [tmp_path / f"{number}.jpg" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("RGB", size, "red").save(path, exif=turned() if path == paths[2] else b"")
    paths.append(tmp_path / "missing.jpg")
    screens = [
        Sample(id=p.name, prompt=parse_prompt(image_instruction()), images=(p,), label="购物车页面") for p in paths
    ]
    text = dialogue_instruction("用户: <image>", "客服: 您好", "用户: <image>", "用户: 会生锈吗")
    dialogue = Sample(id="dialogue", prompt=parse_prompt(text), images=tuple(paths[:2]), label="购物车页面")
    return [*screens, dialogue]


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


@pytest.mark.parametrize("layout", ["official", "compact"])
def test_lengths_are_those_of_the_encoded_prompts(
    base: Base, nano_settings: Qwen2VL, samples: list[Sample], layout: str
) -> None:
    settings = nano_settings.model_copy(update={"layout": layout, "max_tokens": 1024})
    taxonomy = builtin_taxonomy("image")
    dataset = PromptDataset(samples, prompt_encoder(base, taxonomy, settings), taxonomy)
    assert dataset.lengths == [len(dataset[index][0]) for index in range(len(dataset))]


def test_the_collator_packs_and_adds_a_blank_picture_on_several_devices(
    base: Base, nano_settings: Qwen2VL, samples: list[Sample]
) -> None:
    taxonomy = builtin_taxonomy("image")
    encoder = prompt_encoder(base, taxonomy, nano_settings)
    items = [PromptDataset(samples, encoder, taxonomy)[index] for index in range(3)]
    trie = encoder.label_trie(taxonomy)
    inputs = Collator(trie, base.image_pad, base.pad, 14)(items)
    assert inputs["batch"].layout.run_lengths == ((2, len(items[0][0])), (1, len(items[2][0])))
    assert inputs["label_indices"].tolist() == [taxonomy.index("购物车页面")] * 3
    text = [(EncodedPrompt("t", (7, 8), (), ()), 0)]
    alone, distributed = (
        Collator(trie, base.image_pad, base.pad, 14, several)(text)["batch"] for several in (False, True)
    )
    assert alone.pixels is None and distributed.grids.tolist() == [[1, 2, 2]]


def waiting(order: list[int], size: int) -> float:
    """The share of time lost if all samples of a batch take as long as its longest."""
    batches = [[LENGTHS[index] for index in order[start : start + size]] for start in range(0, len(order), size)]
    return 1 - sum(map(sum, batches)) / sum(len(batch) * max(batch) for batch in batches)


def test_grouped_batches_hold_every_sample_and_wait_a_third_as_long() -> None:
    order = list(LengthGroupedSampler(LENGTHS, 8, seed=7))
    assert sorted(order) == list(range(200))
    # 200 lengths are sorted 48 at a time, so a batch of 8 spans about a sixth of them
    assert waiting(order, 8) < waiting(list(range(200)), 8) / 3


def test_length_groups_by_hand() -> None:
    # 17 samples, batches of 2: pools of 17 // 8 = 2 batches, each sorted by length
    lengths = [10, 40, 30, 20, 1, 2, 6, 5, 9, 8, 7, 6, 4, 3, 2, 1, 99]
    pools = [[[0, 3], [2, 1]], [[4, 5], [7, 6]], [[11, 10], [9, 8]], [[15, 14], [13, 12]], [[16]]]
    assert length_groups(range(17), lengths, 2) == [batch for pool in pools for batch in pool]


def test_batches_come_in_no_order_of_length() -> None:
    """Batches of one sample: the first is longer than the second in about half of 40 epochs, not in each."""
    sampler, n_falling = LengthGroupedSampler(range(16), 1, seed=7), 0
    for epoch in range(40):
        sampler.set_epoch(epoch)
        first, second, *_ = sampler
        n_falling += first > second
    assert 10 < n_falling < 30


def test_every_epoch_has_its_own_reproducible_order() -> None:
    first, second = LengthGroupedSampler(LENGTHS, 8, seed=7), LengthGroupedSampler(LENGTHS, 8, seed=7)
    assert list(first) == list(second) == list(first)
    second.set_epoch(1)
    assert list(first) != list(second)
    first.set_epoch(1)
    assert list(first) == list(second)
    assert len(first) == 200
