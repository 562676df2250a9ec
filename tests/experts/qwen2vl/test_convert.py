import json
from pathlib import Path

import pytest
import torch
from qwen2vl_inputs import make_adapter
from records import dialogue_instruction
from safetensors.torch import load_file, save_file

from experts.qwen2vl import convert
from experts.qwen2vl.adapters.lora import current_name
from experts.qwen2vl.base import load_base
from experts.qwen2vl.voter import Qwen2VLVoter
from mire.cli import run
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Qwen2VL, load_settings, save_settings

SAMPLE = Sample(id="s", prompt=parse_prompt(dialogue_instruction("用户: 会生锈吗")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model.layers.3.mlp.up_proj", "model.language_model.layers.3.mlp.up_proj"),
        ("visual.blocks.0.attn.qkv", "model.visual.blocks.0.attn.qkv"),
        ("model.language_model.layers.0.x", "model.language_model.layers.0.x"),
        ("model.visual.blocks.0.mlp.fc1", "model.visual.blocks.0.mlp.fc1"),
    ],
)
def test_old_names_become_new_ones(old: str, new: str) -> None:
    assert current_name(old) == new


def make_old(folder: Path, settings: Qwen2VL) -> Path:
    """An adapter as LLaMA-Factory left it on transformers 4.51: old names, full paths as target modules."""
    make_adapter(folder, settings, "dialogue")
    (folder / "mire.json").unlink()
    path = folder / "adapter_model.safetensors"
    tensors = {
        key.replace("model.language_model.", "model.").replace("model.model.visual.", "model.visual."): value
        for key, value in load_file(path).items()
    }
    save_file(tensors, path)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["target_modules"] = sorted({key.removeprefix("base_model.model.").split(".lora_")[0] for key in tensors})
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def merged_by_hand(folder: Path, settings: Qwen2VL) -> Qwen2VLVoter:
    """The reference: W + alpha / rank * B A in every layer that the old folder names, and no PEFT."""
    base = load_base(settings, device="cpu")
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    for module in config["target_modules"]:
        low, high = (tensors[f"base_model.model.{module}.{part}.weight"] for part in ("lora_A", "lora_B"))
        layer = base.model.get_submodule(current_name(module))
        with torch.no_grad():
            delta = config["lora_alpha"] / config["r"] * high.flatten(1) @ low.flatten(1)
            layer.weight += delta.view_as(layer.weight)
    return Qwen2VLVoter(base=base, taxonomy=builtin_taxonomy("dialogue"), settings=settings)


def test_the_converted_adapter_gives_the_old_ones_logits(
    nano_settings: Qwen2VL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_old(tmp_path / "old", nano_settings)
    settings = load_settings("nano").model_copy(update={"qwen2vl": nano_settings})
    save_settings(settings, tmp_path / "s.json")
    arguments = ["--adapter", str(old), "--out", str(tmp_path / "new"), "--task", "dialogue"]
    arguments += ["--resize", "llamafactory"]
    assert run(convert, [*arguments, "--config", str(tmp_path / "s.json")]) == 0
    converted = Qwen2VLVoter.load(
        tmp_path / "new",
        base=load_base(nano_settings, device="cpu"),
        taxonomy=builtin_taxonomy("dialogue"),
        settings=nano_settings,
    )
    assert converted.settings.resize == "llamafactory"
    got = scores(converted)
    reference = merged_by_hand(old, nano_settings)
    assert got == pytest.approx(scores(reference), abs=1e-4)
    plain = Qwen2VLVoter(base=load_base(nano_settings), taxonomy=builtin_taxonomy("dialogue"), settings=nano_settings)
    assert max(abs(a - b) for a, b in zip(got, scores(plain), strict=True)) > 0.1


def scores(voter: Qwen2VLVoter) -> list[float]:
    """Log-likelihood of every label."""
    from experts.qwen2vl.inputs.batch import pack
    from experts.qwen2vl.model.scoring import label_log_likelihoods

    model = voter.base._adapted or voter.base.model
    batch = pack([voter.encoder.encode(SAMPLE)], voter.trie, image_pad=voter.base.image_pad, pad=voter.base.pad)
    with torch.inference_mode():
        return [float(value) for value in label_log_likelihoods(model, batch, voter.trie)[0]]


def test_what_does_not_fit_is_refused_and_leaves_nothing(
    nano_settings: Qwen2VL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = make_old(tmp_path / "old", nano_settings)
    settings = load_settings("nano").model_copy(update={"qwen2vl": nano_settings})
    save_settings(settings, tmp_path / "s.json")
    path = old / "adapter_model.safetensors"
    tensors = {key.replace("layers.0.", "layers.70."): value for key, value in load_file(path).items()}
    save_file(tensors, path)
    usual = ["--task", "dialogue", "--config", str(tmp_path / "s.json"), "--out", str(tmp_path / "new")]
    assert run(convert, ["--adapter", str(old), *usual]) == 1
    assert "keys do not fit the base" in capsys.readouterr().err
    assert run(convert, ["--adapter", str(tmp_path), *usual]) == 1
    assert "holds no adapter_model.safetensors" in capsys.readouterr().err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["old", "s.json"]


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_half_a_file_is_one_line(
    nano_settings: Qwen2VL, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    old = make_old(tmp_path / "old", nano_settings)
    whole = (old / name).read_bytes()
    (old / name).write_bytes(whole[: len(whole) // 2])
    assert run(convert, ["--adapter", str(old), "--out", str(tmp_path / "new"), "--task", "dialogue"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {old / name} is ") and "copy the folder again" in said
    assert said.count("\n") == 1 and not (tmp_path / "new").exists()
