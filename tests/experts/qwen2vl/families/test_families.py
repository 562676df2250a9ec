"""Every family of bases: trie scores, prompts and pictures are those of transformers' own model and processor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from family_bases import make_base, processor_settings, rendered
from PIL import Image
from qwen2vl_inputs import made_up_prompt, plain_log_likelihoods, plain_model

from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.families import FAMILIES
from experts.qwen2vl.inputs.batch import normalise, pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.model.scoring import label_log_likelihoods
from experts.qwen2vl.voter import prompt_encoder
from experts.weight_files import check_base_folder
from mire.errors import PanelError
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Qwen2VL

LABELS = [[10, 11, 5], [10, 5], [12, 13, 14, 5], [12, 13, 5]]
TRIE = LabelTrie.build(LABELS)


@pytest.fixture(scope="module", params=list(FAMILIES))
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Qwen2VL:
    folder = make_base(tmp_path_factory.mktemp(request.param), request.param)
    return Qwen2VL(base=str(folder), min_pixels=1024, max_pixels=20_000)


@pytest.fixture(scope="module")
def base(settings: Qwen2VL) -> Base:
    return load_base(settings, device="cpu")


@pytest.fixture(scope="module")
def plain(settings: Qwen2VL) -> Any:
    return plain_model(settings)


def scores(base: Base, prompts: list[Any]) -> torch.Tensor:
    with torch.inference_mode():
        return label_log_likelihoods(base.model, pack(prompts, TRIE, image_pad=base.image_pad, pad=base.pad), TRIE)


def test_trie_scores_are_those_of_separate_passes_packed_and_alone(base: Base, plain: Any) -> None:
    """With none to three pictures, some of several windows."""
    rng = np.random.default_rng(0)
    shapes = [(6, []), (4, [(5, 3)]), (9, [(2, 2), (3, 7)]), (3, [(1, 1), (4, 4), (2, 5)])]
    prompts = [made_up_prompt(base, rng, n_words, grids) for n_words, grids in shapes]
    with torch.inference_mode():
        expected = plain_log_likelihoods(plain, prompts, LABELS)
    assert expected.std() > 1, "the labels' scores differ"
    torch.testing.assert_close(scores(base, prompts), expected, atol=1e-4, rtol=0)
    alone = torch.cat([scores(base, [prompt]) for prompt in prompts])
    torch.testing.assert_close(alone, expected, atol=1e-4, rtol=0)


def test_every_shortcut_is_taken(base: Base) -> None:
    from experts.qwen2vl.model.fast_modules import LastLayer

    assert isinstance(base.model.model.language_model.layers[-1], LastLayer)


def test_prompts_are_the_chat_template_and_the_processor_token_for_token(
    base: Base, settings: Qwen2VL, tmp_path: Path
) -> None:
    from transformers import Qwen2VLImageProcessor

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 90, 3), dtype=np.uint8))
    picture.save(tmp_path / "p.png")
    family = base.family
    size = {"shortest_edge": settings.min_pixels, "longest_edge": settings.max_pixels}
    processor = Qwen2VLImageProcessor(**processor_settings(family.model_type), size=size)
    theirs = processor(images=[picture], return_tensors="pt")
    encoder = prompt_encoder(base, builtin_taxonomy("image"), settings)
    prompt = encoder.encode(Sample(id="s", prompt=parse_prompt("看<image>吗"), images=(tmp_path / "p.png",)))
    (shown,) = prompt.pictures
    assert theirs["image_grid_thw"].tolist() == [[1, shown.rows, shown.columns]]
    pixels = normalise(torch.from_numpy(shown.pixels), family, torch.float32, n_frames=2)
    torch.testing.assert_close(pixels, theirs["pixel_values"], atol=1e-5, rtol=0)
    chat = rendered(family.model_type, [{"text": "看"}, {"type": "image"}, {"text": "吗"}])
    expanded = chat.replace("<|image_pad|>", "<|image_pad|>" * shown.n_tokens)
    assert list(prompt.ids) == base.tokenizer(expanded)["input_ids"]


def test_a_model_whose_last_layer_takes_features_of_pictures_stays_whole(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "shallow", "qwen3_vl", num_hidden_layers=2)
    settings = Qwen2VL(base=str(folder))
    base, plain = load_base(settings, device="cpu"), plain_model(settings)
    prompts = [made_up_prompt(base, np.random.default_rng(0), 4, grids) for grids in ([(2, 3)], [])]
    with torch.inference_mode():
        expected = plain_log_likelihoods(plain, prompts, LABELS)
    torch.testing.assert_close(scores(base, prompts), expected, atol=1e-4, rtol=0)


def test_a_base_of_another_family_is_refused_with_what_is_supported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_5"}')
    supported = r"Qwen2-VL \(2B, 7B\), Qwen2.5-VL \(3B, 7B\), Qwen3-VL \(2B, 4B, 8B\); name one of them as qwen2vl.base"
    with pytest.raises(PanelError, match=f"is of model type 'qwen3_5', but supported are {supported}"):
        check_base_folder(tmp_path)
