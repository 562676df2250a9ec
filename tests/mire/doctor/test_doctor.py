"""The doctor: each trouble is found and comes with a fix."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from mire import hub
from mire.budget import MAX_PARAMETERS, ParameterCount
from mire.cli import run
from mire.doctor import __main__ as doctor
from mire.doctor import machine as memory_module
from mire.doctor import packages as installed
from mire.doctor import weights as presence
from mire.doctor.check import Check
from mire.doctor.machine import machine
from mire.doctor.panel import panel_lines
from mire.doctor.sections import budget
from mire.labels import builtin_taxonomy
from mire.panel_folder import PanelFolder
from mire.settings import Qwen2VL, Settings, load_settings

Fake = Callable[[dict[str, str]], None]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Pretends that some packages are installed, and no others."""

    def pretend(known: dict[str, str]) -> None:
        monkeypatch.setattr(installed, "_version", known.get)

    return pretend


def trouble(found: list[Check]) -> list[Check]:
    return [finding for finding in found if finding.fix]


def test_a_problem_is_marked_and_comes_with_its_fix() -> None:
    assert str(Check("all is well")) == "  all is well"
    assert str(Check("torch is old", "pip install torch")) == "! torch is old\n      fix: pip install torch"


def test_a_missing_and_an_old_package_are_named(versions: Fake) -> None:
    versions({"numpy": "1.20.0", "pyyaml": "6.0.3"})
    found = {finding.text.split()[0]: finding for finding in installed.packages()}
    assert found["numpy"].text.endswith("1.20.0, needed >=1.26")
    assert found["numpy"].fix == "pip install 'numpy>=1.26'"
    assert found["torch"].text.endswith("missing") and found["torch"].fix == "pip install 'torch>=2.6'"
    assert not found["pyyaml"].fix
    assert "accelerate" not in found and "pytest" not in found


@pytest.mark.parametrize(
    ("torch", "fitting"), [("2.13.0+cpu", "0.28"), ("2.6.0", "0.21"), ("1.13.1", None), ("3.0.0", None)]
)
def test_torchvision_follows_torch(torch: str, fitting: str | None) -> None:
    assert installed.fitting_torchvision(torch) == fitting


def test_torchvision_of_another_torch_is_a_bad_pair(versions: Fake) -> None:
    versions({"torch": "2.6.0", "torchvision": "0.28.0"})
    (found,) = installed.bad_pairs()
    assert found.text == "torch 2.6.0 goes with torchvision 0.21, not 0.28.0"
    assert found.fix == "pip install 'torchvision==0.21.*'"


def test_torchvision_whose_operators_do_not_load(versions: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    versions({"torch": "2.13.0", "torchvision": "0.28.0"})
    monkeypatch.setattr(installed, "operators_load", lambda folder: False)
    (found,) = installed.bad_pairs()
    assert "its operators do not load" in found.text and "together" in found.fix
    monkeypatch.setattr(installed, "operators_load", lambda folder: True)
    assert list(installed.bad_pairs()) == [Check("no known-bad pair")]


def test_packages_that_overwrite_each_other(versions: Fake) -> None:
    versions({"onnxruntime": "1", "onnxruntime-gpu": "1", "opencv-python": "5"})
    (found,) = installed.bad_pairs()
    assert found.text.startswith("onnxruntime and onnxruntime-gpu are both installed")


def with_base(base: str) -> Settings:
    return load_settings("nano").model_copy(update={"qwen2vl": Qwen2VL(base=base)})


def test_a_folder_of_weights_must_be_whole(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}')
    (found,) = trouble([next(presence.weights(with_base(str(tmp_path))))])
    assert found.text.endswith("holds no safetensors file") and found.fix == "download it again"
    (tmp_path / "model.safetensors").write_bytes(b"")
    (found,) = trouble([next(presence.weights(with_base(str(tmp_path))))])
    assert found.text.endswith("model.safetensors is empty")
    save_file({"a": np.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "tokenizer.json").write_text("{}")
    assert next(presence.weights(with_base(str(tmp_path)))).text.endswith("the files are there and whole")


def test_weights_on_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "offline_reason", lambda: "the hub is asleep")
    found = next(presence.weights(with_base("some/base")))
    assert found.text == "base some/base: not on this machine, and the hub is asleep"
    assert found.fix.startswith("download some/base where") and "set qwen2vl.base to" in found.fix
    monkeypatch.setattr(hub, "offline_reason", lambda: None)
    assert next(presence.weights(with_base("some/base"))).text.endswith("is downloaded when first needed")


def test_cpu_needs_no_download() -> None:
    assert not trouble(list(presence.weights(load_settings("cpu"))))


def test_a_cache_is_written_to_before_it_is_called_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for name, told in (("new/cache", ""), ("file/cache", "set MIRE_CACHE to a folder that can be written")):
        monkeypatch.setenv("MIRE_CACHE", str(tmp_path / name))
        (found,) = [check for check in machine() if check.text.startswith("cache ")]
        assert (found.fix, "cannot be written" in found.text) == (told, bool(told))
    assert list((tmp_path / "new" / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("capability", "said"), [((7, 5), "no bfloat16: set qwen2vl.dtype"), ((9, 0), "24 GiB, bfloat16")]
)
def test_a_card_s_number_format_and_attention_are_named(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], said: str
) -> None:
    major, minor = capability
    card = SimpleNamespace(name="Some Card", total_memory=24 * 2**30, major=major, minor=minor)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: card)
    (found,) = memory_module._devices()
    assert found.text.endswith(f"{said}; attention by flash and memory-efficient kernels, not cuDNN's")


def test_apple_s_gpu_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    (found,) = memory_module._devices()
    assert "Apple's" in found.text and "bfloat16" in found.text


def test_little_shared_memory_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "shared_memory", lambda: 64 << 20)
    (check,) = memory_module._shared_memory()
    assert "0.06 GiB" in check.text and "--shm-size" in check.fix
    monkeypatch.setattr(memory_module, "shared_memory", lambda: memory_module.LOADERS_NEED)
    assert not list(memory_module._shared_memory())


MIB = 2**20


@pytest.mark.parametrize(
    ("files", "whole", "free"),
    [
        ({}, 8000, 5000),
        ({"memory.max": "max", "memory.current": "1", "memory.stat": "inactive_file 0"}, 8000, 5000),
        ({"memory.max": 4000, "memory.current": 1500, "memory.stat": f"anon 7\ninactive_file {500 * MIB}"}, 4000, 3000),
        ({"memory.max": 4000, "memory.current": 4100, "memory.stat": "inactive_file 0"}, 4000, 0),
        ({"memory.max": 7000, "memory.current": 1000, "memory.stat": "inactive_file 0"}, 7000, 5000),
        ({"memory.max": 4000, "memory.current": 1500, "memory.stat": "anon 7"}, 8000, 5000),
        (
            {
                "memory/memory.limit_in_bytes": 4000,
                "memory/memory.usage_in_bytes": 1500,
                "memory/memory.stat": f"inactive_file 9\ntotal_inactive_file {500 * MIB}",
            },
            4000,
            3000,
        ),
    ],
)  # MiB, of a machine with 8,000 of which 5,000 are free
def test_a_container_s_memory_counts(
    files: dict[str, str | int], whole: int, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_wide = SimpleNamespace(total=8000 * MIB, available=5000 * MIB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: machine_wide)
    monkeypatch.setattr("mire.compat.CGROUP", tmp_path)
    (tmp_path / "memory").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(str(content * MIB) if isinstance(content, int) else content, encoding="ascii")
    assert memory_module.main_memory() == (whole * MIB, free * MIB)


def test_memory_by_hand() -> None:
    count = ParameterCount({"a": 3 * 2**30, "b": 2**30})
    found = presence.fit(count, 10 * 2**30, "bfloat16")
    assert found.text == "weights take 8.0 GiB as bfloat16, of 10.0 GiB free: 2.0 GiB are left for batches and training"
    assert presence.fit(count, 10 * 2**30, "float32").fix


def test_over_the_parameter_budget_is_an_error() -> None:
    part, total = budget(ParameterCount({"base": MAX_PARAMETERS}))
    assert part.text.split() == ["base", "10,000,000,000"]
    assert "IS OVER THE LIMIT" in total.text and total.fix
    assert not list(budget(ParameterCount({"base": MAX_PARAMETERS - 1})))[-1].fix


@pytest.mark.slow
def test_over_the_budget_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.yaml"
    lora = "{rank: 512, vision: true}"
    config.write_text(
        "name: big\npanel: {image: [qwen2vl, clip_lightgbm], dialogue: [qwen2vl]}\n"
        f"qwen2vl: {{base: Qwen/Qwen2-VL-7B-Instruct, lora: {lora}}}\nclip: {{weights: random}}\n"
    )
    assert run(doctor, ["--config", str(config)]) == 1
    seen = capsys.readouterr()
    assert "IS OVER THE LIMIT" in seen.out and "fewer than 10,000,000,000 parameters" in seen.err


def test_an_adapter_of_an_older_transformers_is_found(tmp_path: Path) -> None:
    panel = PanelFolder(tmp_path)
    panel.claim(load_settings("nano"))
    panel.write_taxonomy(builtin_taxonomy("image"))
    panel.weights("image").write_text("{}")
    for voter in panel.settings().panel.voters("image"):
        panel.voter("image", voter).mkdir()
    folder = panel.voter("image", "qwen2vl")
    key = "base_model.model.model.{}layers.0.mlp.up_proj.lora_A.weight"
    save_file({key.format("language_model."): np.zeros(1)}, folder / "adapter_model.safetensors")
    found = list(panel_lines(panel))
    assert [finding.text.split()[0] for finding in found] == ["configuration", "fingerprint", "image", "dialogue"]
    assert "with a version that wrote no model card" in found[2].text
    (untrained,) = trouble(found)
    assert untrained.text == "dialogue      not trained yet (qwen2vl, dialogue_text)"
    save_file({key.format(""): np.zeros(1)}, folder / "adapter_model.safetensors")
    old = trouble(list(panel_lines(panel)))[0]
    assert "image/qwen2vl/adapter_model.safetensors has the module names of an older transformers" in old.text
    assert "mire convert" in old.fix
