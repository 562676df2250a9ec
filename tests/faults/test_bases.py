"""Bases and CLIP weights that are damaged, or another model's: one line with the file and the next step."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from experts.clip_lightgbm.embed import create_model
from experts.qwen2vl.base import load_base
from experts.qwen2vl.nano import build_nano
from mire.doctor import weights as doctor
from mire.errors import PanelError
from mire.settings import Clip, Qwen2VL, load_settings

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5200000\n"
KEY, NORM = "model.layers.0.mlp.up_proj.weight", "model.norm.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nano")
    build_nano(folder, n_steps=0)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "base"))


def cut(name: str, share: float) -> Callable[[Path], Any]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return damage


def content(name: str, value: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(value)


def without(*names: str) -> Callable[[Path], Any]:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def config(**changes: Any) -> Callable[[Path], Any]:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def tensors(change: Callable[[dict[str, torch.Tensor], str], Any]) -> Callable[[Path], Any]:
    """Change one tensor among all, whichever names this version of transformers has written."""

    def damage(folder: Path) -> None:
        path = folder / "model.safetensors"
        state = load_file(path)
        change(state, next(key for key in state if key.endswith("layers.0.mlp.up_proj.weight")))
        save_file(state, path, metadata={"format": "pt"})

    return damage


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (cut("model.safetensors", 0.6), "model.safetensors is no whole safetensors file: "),
    "cut in the head": (cut("model.safetensors", 0.00001), "model.safetensors is no whole safetensors file: "),
    "empty": (content("model.safetensors", b""), "model.safetensors is empty; download"),
    "a pointer": (content("model.safetensors", POINTER), "model.safetensors is a pointer of git-lfs.*git lfs pull"),
    "a page": (content("model.safetensors", b"<html>404</html>"), "is no whole safetensors file: "),
    "no weights": (without("model.safetensors"), "holds no safetensors file; download it again"),
    "a pickle": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "pytorch_model.bin: weights are only read as safetensors",
    ),
    "a shard is missing": (
        content("model.safetensors.index.json", b'{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'),
        "model-00001-of-00002.safetensors is missing; download",
    ),
    "an index of nothing": (content("model.safetensors.index.json", b"{}"), "index.json names no weights"),
    "bitsandbytes": (config(quantization_config={"quant_method": "bitsandbytes"}), r"quantised \(bitsandbytes\)"),
    "awq": (config(quantization_config={"quant_method": "awq"}), r"quantised \(awq\)"),
    "gptq": (config(quantization_config={"quant_method": "gptq"}), r"quantised \(gptq\)"),
    "another model": (config(model_type="llama"), "is of model type 'llama'"),
    "its successor": (config(model_type="qwen3_5"), "is of model type 'qwen3_5'"),
    "no model": (content("config.json", b"{}"), "is of model type 'None'"),
    "half a configuration": (cut("config.json", 0.5), "config.json is no whole JSON"),
    "a list of settings": (content("config.json", b"[]"), "config.json is no object of settings"),
    "no configuration": (without("config.json"), "config.json is missing; download it again"),
    "no tokenizer": (without("tokenizer.json", "vocab.json", "merges.txt"), "holds no tokenizer "),
    "a tokenizer's pointer": (content("tokenizer.json", POINTER), "tokenizer.json is a pointer of git-lfs"),
    "half a tokenizer": (cut("tokenizer.json", 0.5), "tokenizer.json is no whole JSON"),
}
CONTENTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a weight is missing": (
        tensors(lambda state, key: state.pop(key)),
        "lacks 1 weights: model.language_model.layers.0.mlp.up_proj.weight; download it again, whole",
    ),
    "a whole layer is missing": (
        tensors(lambda state, key: [state.pop(each) for each in list(state) if "layers.1." in each]),
        r"lacks \d+ weights: model.language_model.layers.1.*, \.\.\.; download",
    ),
    "a weight too many": (
        tensors(lambda state, key: state.update({key.replace("up_proj", "extra"): torch.zeros(2)})),
        "has besides 1 weights: .*extra",
    ),
    "a weight of another shape": (
        tensors(lambda state, key: state.update({key: state[key][:3].clone()})),
        "has in another shape 1 weights: .*up_proj",
    ),
    "more layers": (
        lambda folder: config(
            text_config=json.loads((folder / "config.json").read_text())["text_config"] | {"num_hidden_layers": 3}
        )(folder),
        "cannot be loaded: .*layer_types|lacks .* weights: model.language_model.layers.2",
    ),
    "another tokenizer": (
        lambda folder: (folder / "tokenizer.json").write_text(
            (folder / "tokenizer.json").read_text().replace("<|image_pad|>", "<|picture|>")
        ),
        "has a tokenizer that is not its own",
    ),
}


@pytest.mark.parametrize("damage", FILES | CONTENTS)
def test_a_damaged_base_is_one_line(folder: Path, damage: str) -> None:
    change, message = (FILES | CONTENTS)[damage]
    change(folder)
    with pytest.raises(PanelError, match=message) as caught:
        load_base(Qwen2VL(base=str(folder)), device="cpu")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.parametrize("damage", FILES)
def test_the_doctor_opens_what_it_finds(folder: Path, damage: str) -> None:
    settings = load_settings("nano").model_copy(update={"qwen2vl": Qwen2VL(base=str(folder))})
    assert not next(doctor.weights(settings)).fix
    change, message = FILES[damage]
    change(folder)
    found = next(doctor.weights(settings))
    assert found.fix and "\n" not in found.text
    with pytest.raises(PanelError, match=message):
        raise PanelError(f"{found.text}; {found.fix}")


CLIP: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (cut("clip.safetensors", 0.5), "clip.safetensors is no whole safetensors file"),
    "empty": (content("clip.safetensors", b""), "clip.safetensors is empty"),
    "a pointer": (content("clip.safetensors", POINTER), "clip.safetensors is a pointer of git-lfs"),
    "missing": (without("clip.safetensors"), "clip.safetensors is missing"),
    "another model": (
        lambda folder: save_file({"a": torch.zeros(2)}, folder / "clip.safetensors"),
        "cannot be loaded: .*; name a file or a folder as clip.weights",
    ),
}


@pytest.mark.parametrize("damage", CLIP)
def test_damaged_clip_weights_are_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "clip.safetensors"
    model = create_model(Clip(model="mire-nano", weights="random"))
    save_file({key: tensor.clone() for key, tensor in model.state_dict().items()}, path)
    create_model(Clip(model="mire-nano", weights=str(path)))
    change, message = CLIP[damage]
    change(tmp_path)
    with pytest.raises(PanelError, match=message) as caught:
        create_model(Clip(model="mire-nano", weights=str(path)))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "open_clip_config.json is missing"),
        ({"open_clip_config.json": b"{}"}, "describes no CLIP"),
        ({"open_clip_config.json": b'{"model_cfg": {"t": {"hf_model_name": "evil/x"}}}'}, "names a hub's model"),
        ({"open_clip_config.json": b'{"model_cfg": {}}'}, "holds no open_clip_model.safetensors"),
        ({"open_clip_config.json": b'{"model_cfg": {}}', "model.bin": b"x"}, "only read as safetensors"),
    ],
)  # fmt: skip
def test_a_folder_of_clip_is_looked_at_first(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    for name, value in files.items():
        (tmp_path / name).write_bytes(value)
    with pytest.raises(PanelError, match=message):
        create_model(Clip(model=str(tmp_path)))


def test_a_hub_named_in_a_panel_is_not_asked() -> None:
    with pytest.raises(PanelError, match="no hub is asked for a model of that kind; download it once"):
        create_model(Clip(model="hf-hub:evil/model"))


@pytest.mark.parametrize(
    ("model", "tag", "error"),
    [
        ("ViT-L-14", "openai", "only as .bin"),
        ("ViTamin-S", "datacomp1b", "only as .bin"),
        ("ViT-B-32-quickgelu", "laion400m_e31", "only as .bin"),
    ],
)
def test_clip_weights_that_are_published_as_a_pickle_are_refused(
    monkeypatch: pytest.MonkeyPatch, model: str, tag: str, error: str
) -> None:
    """The repository lacks the safetensors; open_clip would go on to the pickle beside them."""
    asked: list[str] = []

    def download(repository: str, name: str, **_: object) -> str:
        asked.append(name)
        raise EntryNotFoundError(error)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("experts.clip_lightgbm.embed.offline_reason", lambda: None)
    with pytest.raises(PanelError, match=f"the weights '{tag}' of the CLIP model '{model}' are published as a pickle"):
        create_model(Clip(model=model, weights=tag))
    assert asked and all(name.endswith(".safetensors") for name in asked)


def test_clip_weights_that_no_hub_gives_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("experts.clip_lightgbm.embed.offline_reason", lambda: "HF_HUB_OFFLINE is set")
    with pytest.raises(PanelError, match="'openai' cannot be loaded: HF_HUB_OFFLINE is set; name a file or a folder"):
        create_model(Clip())
