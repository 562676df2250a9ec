import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from experts.qwen2vl.adapter import CONFIG, WEIGHTS, Manifest, write_manifest
from experts.qwen2vl.adapters.averaging import merge_adapters
from mire.errors import PanelError

LAYER = "base_model.model.layer"


def adapter(folder: Path, seed: int, *, alpha: int = 8, layer: str = LAYER, taxonomy: str = "t") -> Path:
    generator = torch.Generator().manual_seed(seed)
    folder.mkdir()
    weights = {
        f"{layer}.lora_A.weight": torch.randn(4, 10, generator=generator),
        f"{layer}.lora_B.weight": torch.randn(6, 4, generator=generator),
    }
    save_file(weights, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"r": 4, "lora_alpha": alpha, "peft_type": "LORA"}))
    manifest = Manifest(
        task="image", base="nano", base_fingerprint="f", layout="compact", taxonomy=taxonomy,
        min_pixels=3136, max_pixels=50176, max_tokens=192,
    )  # fmt: skip
    write_manifest(manifest, folder)
    return folder


def change(folder: Path) -> torch.Tensor:
    """What the adapter adds to its layer's weight."""
    weights, config = load_file(folder / WEIGHTS), json.loads((folder / CONFIG).read_text())
    product = weights[f"{LAYER}.lora_B.weight"] @ weights[f"{LAYER}.lora_A.weight"]
    return product * config["lora_alpha"] / config["r"]


def test_the_merge_is_the_mean_of_the_products(tmp_path: Path) -> None:
    parts = [adapter(tmp_path / str(seed), seed) for seed in range(3)]
    merge_adapters(parts, tmp_path / "merged")
    torch.testing.assert_close(change(tmp_path / "merged"), sum(map(change, parts)) / 3)
    assert json.loads((tmp_path / "merged" / CONFIG).read_text())["r"] == 12
    assert len({path.stat().st_mode for path in (tmp_path / "merged").iterdir()}) == 1


def test_a_lower_rank_keeps_the_largest_directions(tmp_path: Path) -> None:
    parts = [adapter(tmp_path / str(seed), seed) for seed in range(2)]
    merge_adapters(parts, tmp_path / "exact")
    merge_adapters(parts, tmp_path / "small", rank=3)
    u, s, v = torch.linalg.svd(change(tmp_path / "exact"))
    torch.testing.assert_close(change(tmp_path / "small"), u[:, :3] * s[:3] @ v[:3], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_half_a_file_is_refused(tmp_path: Path, name: str) -> None:
    parts = [adapter(tmp_path / str(seed), seed) for seed in range(2)]
    whole = (parts[1] / name).read_bytes()
    (parts[1] / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PanelError, match=f"1/{name} is .*; copy the folder again"):
        merge_adapters(parts, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_convolutions_factors_keep_their_shape_at_a_lower_rank(tmp_path: Path) -> None:
    parts = [adapter(tmp_path / str(seed), seed) for seed in range(2)]
    for part in parts:
        flat = load_file(part / WEIGHTS)
        save_file(
            {
                f"{LAYER}.lora_A.weight": flat[f"{LAYER}.lora_A.weight"].reshape(4, 5, 2, 1, 1),
                f"{LAYER}.lora_B.weight": flat[f"{LAYER}.lora_B.weight"][:2].reshape(2, 4, 1, 1, 1).contiguous(),
            },
            part / WEIGHTS,
        )
    merge_adapters(parts, tmp_path / "exact")
    merge_adapters(parts, tmp_path / "small", rank=3)
    small, exact = load_file(tmp_path / "small" / WEIGHTS), load_file(tmp_path / "exact" / WEIGHTS)
    assert small[f"{LAYER}.lora_A.weight"].shape == (2, 5, 2, 1, 1)
    assert small[f"{LAYER}.lora_B.weight"].shape == (2, 2, 1, 1, 1)
    # Two outputs have two directions: rank 2 loses nothing.
    products = [
        each[f"{LAYER}.lora_B.weight"].flatten(1) @ each[f"{LAYER}.lora_A.weight"].flatten(1) for each in (small, exact)
    ]
    torch.testing.assert_close(*products, atol=1e-4, rtol=1e-4)


def test_one_adapter_merges_into_itself(tmp_path: Path) -> None:
    part = adapter(tmp_path / "a", 0)
    merge_adapters([part], tmp_path / "merged")
    torch.testing.assert_close(change(tmp_path / "merged"), change(part))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"taxonomy": "u"}, "were trained for different things"),
        ({"layer": "base_model.model.other"}, "differ in the adapted layers"),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path: Path, other: dict, message: str) -> None:
    parts = [adapter(tmp_path / "a", 0), adapter(tmp_path / "b", 1, **other)]
    with pytest.raises(PanelError, match=message):
        merge_adapters(parts, tmp_path / "merged")
