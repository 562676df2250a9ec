"""Adapters of every kind that PEFT makes: loaded, converted and merged exactly as PEFT alone has them, or refused."""

import json
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from experts.qwen2vl import convert as convert_door
from experts.qwen2vl.adapter import read_manifest, write_manifest
from experts.qwen2vl.adapters.averaging import merge_adapters
from experts.qwen2vl.adapters.conversion import convert
from experts.qwen2vl.adapters.lora import read_lora
from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.nano import build_nano
from experts.qwen2vl.voter import manifest
from mire.cli import run
from mire.errors import PanelError, UsageError
from mire.labels import builtin_taxonomy
from mire.settings import Lora, Qwen2VL, Settings, load_settings

UP, DOWN, GATE = ("model.language_model.layers.0.mlp.up_proj", "down_proj", r"layers\.1\.mlp\.gate_proj")
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("nano")
    build_nano(folder, n_steps=0)
    nano = load_settings("nano")
    changed = nano.qwen2vl.model_copy(update={"base": str(folder), "max_pixels": 9408})
    return nano.model_copy(update={"qwen2vl": changed})


@cache
def loaded(folder: str) -> Base:
    return load_base(Qwen2VL(base=folder), device="cpu")


def fresh(settings: Settings) -> Base:
    """A base that nothing was attached to."""
    return deepcopy(loaded(settings.qwen2vl.base))


def make(folder: Path, settings: Settings, *, seed: int = 1, declared: bool = False, **options: Any) -> Path:
    """An adapter as PEFT saves it after some training: every factor has moved from where it started; each made once."""
    kept = Path(settings.qwen2vl.base).with_name(f"made {hash((seed, declared, repr(options)))}")
    if not kept.exists():
        _make(kept, settings, seed=seed, declared=declared, **options)
    return Path(shutil.copytree(kept, folder, dirs_exist_ok=True))


def _make(folder: Path, settings: Settings, *, seed: int, declared: bool, **options: Any) -> None:
    from peft import LoraConfig, get_peft_model

    base = fresh(settings)
    options = {"r": 4, "target_modules": settings.qwen2vl.lora.target_modules} | options
    model = get_peft_model(base.model, LoraConfig(**options))
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder, save_embedding_layers=False)
    if declared:
        write_manifest(manifest(base, builtin_taxonomy("image"), settings.qwen2vl), folder)


def by_peft_alone(folder: Path, settings: Settings) -> Weights:
    """Every adapted weight as PEFT makes it of the folder: the base's own, and scale * B @ A."""
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    model = PeftModel.from_pretrained(fresh(settings).model, folder)
    prefix = "base_model.model."
    return {
        name.removeprefix(prefix): layer.get_base_layer().weight.detach() + layer.get_delta_weight("default").detach()
        for name, layer in model.named_modules()
        if isinstance(layer, LoraLayer)
    }


def weights(base: Base, task: Any, names: Weights) -> Weights:
    """The same weights as a prediction has them."""
    model = base.adapted(task)
    return {name: model.base_model.model.get_submodule(name).weight.detach().clone() for name in names}


def check_same(found: Weights, wanted: Weights, tolerance: float = 1e-5) -> None:
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name], weight, atol=tolerance, rtol=0, msg=lambda text, n=name: f"{n}: {text}")


def age(folder: Path, *, patterns: bool = True) -> Path:
    """Give tensors, and patterns too, the module names of transformers before 4.52."""

    def old(name: str) -> str:
        return name.replace("model.language_model.", "model.").replace("model.model.visual.", "model.visual.")

    path = folder / "adapter_model.safetensors"
    save_file({old(key): tensor for key, tensor in load_file(path).items()}, path)
    config = json.loads((folder / "adapter_config.json").read_text())
    if patterns:
        for entry in ("rank_pattern", "alpha_pattern"):
            config[entry] = {old(key): value for key, value in config[entry].items()}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


LANGUAGE = {"target_modules": Lora().target_modules}
"""PEFT itself has no such start for the tower's convolution."""
PATTERNS: dict[str, Any] = {"rank_pattern": {UP: 6}, "alpha_pattern": {DOWN: 5}}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rank-stabilised": {"use_rslora": True, "lora_alpha": 3},
    "alpha of one module": {"alpha_pattern": {UP: 64}},
    "alpha of a short name": {"alpha_pattern": {DOWN: 2, GATE: 96}},
    "ranks": {"rank_pattern": {UP: 7, DOWN: 2}},
    "ranks and alphas": {"rank_pattern": {UP: 7, GATE: 3}, "alpha_pattern": {UP: 64, DOWN: 4}},
    "ranks, rank-stabilised": {"rank_pattern": {UP: 9}, "alpha_pattern": {DOWN: 4}, "use_rslora": True},
    "the tower too": {"target_modules": r".*(?:up_proj|qkv|fc1)", "rank_pattern": {"qkv": 2}},
    "a list of targets": {"target_modules": ["q_proj", "up_proj"]},
    "some layers": {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [1], "layers_pattern": "layers"},
    "gaussian": {"init_lora_weights": "gaussian"},
    "orthogonal": {"init_lora_weights": "orthogonal", **LANGUAGE},
    "pissa": {"init_lora_weights": "pissa", **LANGUAGE, "lora_alpha": 4},
    "pissa, rank-stabilised": {"init_lora_weights": "pissa", **LANGUAGE, "use_rslora": True, "lora_alpha": 6},
    "pissa of several ranks": {
        "init_lora_weights": "pissa",
        **LANGUAGE,
        "rank_pattern": {UP: 6},
        "alpha_pattern": {DOWN: 5},
    },
    "olora": {"init_lora_weights": "olora", **LANGUAGE, "lora_alpha": 2},
    "olora of several ranks": {
        "init_lora_weights": "olora",
        **LANGUAGE,
        "rank_pattern": {UP: 6},
        "alpha_pattern": {DOWN: 5},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "names"),
    [(kind, "new") for kind in KINDS] + [(kind, "old") for kind in ("plain", "ranks and alphas", "pissa")],
)
def test_a_converted_adapter_is_what_peft_has(settings: Settings, tmp_path: Path, kind: str, names: str) -> None:
    made = make(tmp_path / "made", settings, **KINDS[kind])
    wanted = by_peft_alone(made, settings)
    convert(age(made) if names == "old" else made, tmp_path / "new", task="image", settings=settings)
    other = make(tmp_path / "other", settings, seed=2, declared=True)
    write_manifest(read_manifest(other).model_copy(update={"task": "dialogue"}), other)
    plain = by_peft_alone(other, settings)
    base = fresh(settings)
    base.attach("image", tmp_path / "new")
    base.attach("dialogue", other)
    for _ in range(2):
        check_same(weights(base, "image", wanted), wanted)
        check_same(weights(base, "dialogue", plain), plain)


@pytest.mark.parametrize("kind", ["ranks", "alpha of one module", "ranks and alphas"])
def test_patterns_of_todays_names_beside_weights_of_old_ones(settings: Settings, tmp_path: Path, kind: str) -> None:
    made = make(tmp_path / "made", settings, **KINDS[kind])
    wanted = by_peft_alone(made, settings)
    convert(age(made, patterns=False), tmp_path / "new", task="image", settings=settings)
    base = fresh(settings)
    base.attach("image", tmp_path / "new")
    check_same(weights(base, "image", wanted), wanted)


@pytest.mark.parametrize("entry", ["alpha_pattern", "rank_pattern"])
def test_patterns_of_old_names_beside_todays_weights_are_refused(
    settings: Settings, tmp_path: Path, entry: str
) -> None:
    made = make(tmp_path / "made", settings)
    edit(made, **{entry: {"model.layers.0.mlp.up_proj": 4}})
    with pytest.raises(PanelError, match=f"{entry} names 'model.layers.0.mlp.up_proj' as an older transformers does"):
        convert(made, tmp_path / "new", task="image", settings=settings)


def edit(folder: Path, **changes: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "corda": ({"init_lora_weights": "corda"}, "init_lora_weights is 'corda', which changed the base"),
    "loftq": ({"init_lora_weights": "loftq"}, "init_lora_weights is 'loftq', which changed the base"),
    "lora-ga": ({"init_lora_weights": "lora_ga"}, "init_lora_weights is 'lora_ga', which changed the base"),
    "pissa of a random decomposition": ({"init_lora_weights": "pissa_niter_16"}, "pissa_niter_16', which changed"),
    "a start of the future": ({"init_lora_weights": "newest"}, "init_lora_weights is 'newest', which changed"),
    "dora": ({"use_dora": True}, "sets use_dora to 'True', which plain LoRA has not"),
    "biases": ({"bias": "all"}, "sets bias to 'all', which plain LoRA has not"),
    "lora biases": ({"lora_bias": True}, "sets lora_bias to 'True'"),
    "whole modules": ({"modules_to_save": ["lm_head"]}, "sets modules_to_save to "),
    "tokens": ({"trainable_token_indices": [1]}, "sets trainable_token_indices"),
    "repeated layers": ({"layer_replication": [[0, 2]]}, "sets layer_replication"),
    "parameters": ({"target_parameters": ["x"]}, "sets target_parameters"),
    "an option of the future": ({"twist": 3}, "sets twist to '3'"),
    "another method": ({"peft_type": "IA3"}, "peft_type: .*only LoRA is read"),
    "no rank": ({"r": 0}, "r: "),
    "a rank of another": ({"r": 8}, "gives it rank 8"),
    "an alpha that is none": ({"lora_alpha": float("nan")}, "lora_alpha: |is broken"),
    "a pattern that never ends": ({"alpha_pattern": {"(a+)+b": 2}}, "which is no pattern of module names"),
    "a pattern that is none": ({"rank_pattern": {"(": 2}}, "which is no pattern of module names"),
    "megatron": ({"megatron_config": {"tensor_model_parallel_size": 2}}, "sets megatron_config"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_plain_lora_has_not_is_refused_in_one_line(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    changes, message = REFUSED[kind]
    made = edit(make(tmp_path / "made", settings), **changes)
    with pytest.raises(PanelError, match=message) as caught:
        convert(made, tmp_path / "new", task="image", settings=settings)
    assert "\n" not in str(caught.value) and not (tmp_path / "new").exists()


@pytest.mark.parametrize("start", ["pissa", "olora", "corda", "loftq", "pissa_niter_4"])
def test_an_adapter_that_changes_the_base_is_not_loaded_nor_merged(
    settings: Settings, tmp_path: Path, start: str
) -> None:
    made = edit(make(tmp_path / "made", settings, declared=True), init_lora_weights=start)
    base = fresh(settings)
    before = {name: parameter.clone() for name, parameter in base.model.named_parameters()}
    with pytest.raises(PanelError, match=f"'{start}': such an adapter changes the base .*convert"):
        base.attach("image", made)
    for name, parameter in base.model.named_parameters():
        assert torch.equal(before[name], parameter)
    with pytest.raises(PanelError, match=f"'{start}': such an adapter changes the base"):
        merge_adapters([made], tmp_path / "out")


MIXTURES: dict[str, list[dict[str, Any]]] = {
    "rank-stabilised": [KINDS["rank-stabilised"], KINDS["rank-stabilised"]],
    "a mixture": [KINDS["rank-stabilised"], {}],
    "other alphas": [{"lora_alpha": 2}, {"lora_alpha": 32}, {}],
    "other ranks": [{"r": 2}, {"r": 6}],
    "alpha patterns": [KINDS["alpha of one module"], KINDS["alpha of a short name"]],
    "rank patterns": [KINDS["ranks"], KINDS["ranks and alphas"], KINDS["ranks, rank-stabilised"]],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MIXTURES)
def test_a_merge_is_the_mean_of_what_peft_has(settings: Settings, tmp_path: Path, kind: str) -> None:
    parts = [
        make(tmp_path / str(seed), settings, seed=seed, declared=True, **options)
        for seed, options in enumerate(MIXTURES[kind])
    ]
    by_part = [by_peft_alone(part, settings) for part in parts]
    wanted = {name: torch.stack([each[name] for each in by_part]).mean(0) for name in by_part[0]}
    merge_adapters(parts, tmp_path / "merged")
    check_same(by_peft_alone(tmp_path / "merged", settings), wanted)
    base = fresh(settings)
    base.attach("image", tmp_path / "merged")
    check_same(weights(base, "image", wanted), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MIXTURES)
def test_a_merge_of_a_lower_rank_is_the_nearest(settings: Settings, tmp_path: Path, kind: str) -> None:
    parts = [
        make(tmp_path / str(seed), settings, seed=seed, declared=True, **options)
        for seed, options in enumerate(MIXTURES[kind])
    ]
    merge_adapters(parts, tmp_path / "exact")
    merge_adapters(parts, tmp_path / "small", rank=3)
    exact, small = (read_lora(tmp_path / name).factors[UP] for name in ("exact", "small"))
    u, s, v = torch.linalg.svd(exact.scale * exact.b @ exact.a, full_matrices=False)
    torch.testing.assert_close(small.scale * small.b @ small.a, u[:, :3] * s[:3] @ v[:3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("rank", [0, -1])
def test_a_merge_needs_a_rank_and_its_own_folder(settings: Settings, tmp_path: Path, rank: int) -> None:
    part = make(tmp_path / "a", settings, declared=True)
    before = (part / "adapter_model.safetensors").read_bytes()
    with pytest.raises(UsageError, match=f"--rank must be at least 1, got {rank}"):
        merge_adapters([part], tmp_path / "out", rank=rank)
    with pytest.raises(PanelError, match="is one of the adapters to merge; choose another --out"):
        merge_adapters([part], tmp_path / "x" / ".." / "a")
    assert (part / "adapter_model.safetensors").read_bytes() == before


DAMAGES: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "no partner": (lambda t: {k: v for k, v in t.items() if not k.endswith(f"{UP}.lora_B.weight")}, "has no lora_B"),
    "an embedding": (lambda t: t | {"base_model.model.lm_head.weight": torch.zeros(2)}, "only LoRA weights can be"),
    "a bias": (lambda t: t | {"base_model.model.x.lora_B.bias": torch.zeros(2)}, "only LoRA weights can be read"),
    "another width": (
        lambda t: {k: v[:, :5].contiguous() if "lora_A" in k else v for k, v in t.items()},
        "in the base, but .* in the adapter",
    ),
    "layers that are not there": (
        lambda t: {k.replace("layers.", "layers.7"): v for k, v in t.items()},
        "the adapter's keys do not fit the base: .*unknown",
    ),
    "vectors": (lambda t: {k: v[0].contiguous() for k, v in t.items()}, "has factors of shapes"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_one_line(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    change, message = DAMAGES[damage]
    made = make(tmp_path / "made", settings)
    path = made / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)
    with pytest.raises(PanelError, match=message) as caught:
        convert(made, tmp_path / "new", task="image", settings=settings)
    assert "\n" not in str(caught.value) and not (tmp_path / "new").exists()


def test_a_pickle_is_not_read(settings: Settings, tmp_path: Path) -> None:
    made = make(tmp_path / "made", settings)
    (made / "adapter_model.safetensors").rename(made / "adapter_model.bin")
    with pytest.raises(PanelError, match="adapter_model.bin is a pickle and is not read"):
        convert(made, tmp_path / "new", task="image", settings=settings)


@pytest.mark.parametrize("named", ["nano", "evil/base", "https://example.org/base"])
def test_an_adapters_names_ask_nobody_and_import_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    ran = tmp_path / "ran"
    (tmp_path / "evil_core.py").write_text(f"open({str(ran)!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    made = make(tmp_path / "made", settings, declared=True)
    edit(made, base_model_name_or_path=named, megatron_core="evil_core", revision="main", auto_mapping={"x": "y"})
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    fresh(settings).attach("image", made)
    named_settings = tmp_path / "s.json"
    named_settings.write_text(settings.model_dump_json())
    usual = ["--adapter", str(made), "--out", str(tmp_path / "new"), "--task", "image"]
    assert run(convert_door, [*usual, "--config", str(named_settings)]) == 0
    assert re.fullmatch(
        r".*/new: converted, and it loads on its base; mire fit --adapter .*\n", capsys.readouterr().err
    )
    assert not ran.exists()


@pytest.mark.parametrize("named", ["evil/base", "Qwen/Qwen2-VL-7B-Instruct", "/somewhere/else"])
def test_a_panels_settings_name_its_adapters_base_or_nobody_is_asked(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    from ensemble.panel import Panel
    from experts.qwen2vl import base
    from mire.panel_folder import PanelFolder

    monkeypatch.setattr(base, "load_base", lambda settings: pytest.fail("the base was asked for"))
    other = settings.qwen2vl.model_copy(update={"base": named})
    PanelFolder(tmp_path / "panel").claim(settings.model_copy(update={"qwen2vl": other}))
    make(tmp_path / "panel" / "image" / "qwen2vl", settings, declared=True)
    with pytest.raises(PanelError, match=f"was trained with base '{settings.qwen2vl.base}' but '{named}' is asked for"):
        Panel.load(tmp_path / "panel", ("image",))
