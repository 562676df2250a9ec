from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experts.qwen2vl.families.qwen2_vl import QWEN2_VL
from experts.qwen2vl.inputs.batch import normalise
from experts.qwen2vl.inputs.pictures import CELL, fit_size, grid_size, outline, to_patches
from mire.compat import patch_torchvision

LIMITS = {"min_pixels": 3136, "max_pixels": 50176}


def processors() -> list[Any]:
    """transformers' default, which resizes with torch, and the one that resizes with Pillow."""
    patch_torchvision()
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

    size = {"shortest_edge": LIMITS["min_pixels"], "longest_edge": LIMITS["max_pixels"]}
    return [Qwen2VLImageProcessor(size=size), Qwen2VLImageProcessorPil(size=size)]


@pytest.mark.parametrize(("width", "height"), [(300, 650), (28, 28), (1080, 2400), (5, 5), (640, 480), (29, 1500)])
def test_sizes_and_pixels_are_those_of_transformers(width: int, height: int) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    ours = to_patches(picture, **LIMITS)
    pixels = normalise(torch.from_numpy(ours.pixels), QWEN2_VL, torch.float32, n_frames=2)
    level = 1 / 255 / min(QWEN2_VL.std)
    for processor, tolerance in zip(processors(), (1e-5, 1.01 * level), strict=True):
        theirs = processor(images=[picture], return_tensors="pt")
        assert theirs["image_grid_thw"].tolist() == [[1, ours.rows, ours.columns]]
        torch.testing.assert_close(pixels, theirs["pixel_values"], atol=tolerance, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 20000), (20000, 1), (3000, 10)])
def test_any_shape_fits_the_limits(height: int, width: int) -> None:
    tall, wide = fit_size(height, width, **LIMITS)
    assert tall % CELL == wide % CELL == 0
    assert CELL * CELL <= tall * wide <= LIMITS["max_pixels"] + CELL * max(tall, wide)


def test_one_cell_by_hand() -> None:
    patches = to_patches(Image.new("RGB", (56, 28), (10, 20, 30)), min_pixels=784, max_pixels=50176)
    assert (patches.rows, patches.columns, patches.n_tokens, patches.cells) == (2, 4, 2, (1, 2))
    assert patches.pixels.shape == (8, 588)
    assert patches.pixels[0].tolist() == [10] * 196 + [20] * 196 + [30] * 196


# By hand, at 200,704 pixels (256 cells). 1080 x 2400: LLaMA-Factory's factor is sqrt(200704 / 2592000) = 0.278266, so
# 300 x 667, which the processor rounds to 308 x 672 = 11 x 24 cells; alone it cuts 300.5 x 667.8 to 10 x 23 cells.
SIZES = [
    (1080, 2400, 10 * 23, 11 * 24),
    (750, 1334, 11 * 21, 12 * 21),  # 335.9 x 597.5: 335 x 597 is 11.96 x 21.3 cells
    (1242, 2688, 10 * 23, 11 * 24),  # 304.5 x 659.1: 304 x 659 is 10.9 x 23.5 cells
    (640, 480, 18 * 13, 18 * 14),  # 517.3 x 388.0: 517 x 387 is 18.5 x 13.8 cells
    (448, 448, 256, 256),
    (28, 28, 4, 4),  # enlarged to 3,136 pixels by both
]


@pytest.mark.parametrize(("width", "height", "ours", "theirs"), SIZES)
def test_pictures_have_the_tokens_that_they_were_trained_with(
    tmp_path: Path, width: int, height: int, ours: int, theirs: int
) -> None:
    limits = {"min_pixels": 3136, "max_pixels": 200_704}
    picture = Image.new("RGB", (width, height), (10, 20, 30))
    picture.save(tmp_path / "p.png")
    for resize, n_tokens in (("qwen2vl", ours), ("llamafactory", theirs)):
        patches = to_patches(picture, **limits, resize=resize)
        assert patches.n_tokens == outline(tmp_path / "p.png", **limits, resize=resize).n_tokens == n_tokens


def test_llamafactorys_sizes_of_odd_shapes_by_hand() -> None:
    limits = {"min_pixels": 3136, "max_pixels": 200_704, "resize": "llamafactory"}
    # 20000 x 30: sqrt(200704 / 600000) = 0.578; 11567 x 17, then 28 wide, then at most 180 times as tall.
    assert grid_size(20_000, 30, **limits) == (180 * 28, 28)
