"""An exported adapter, loaded by a process that knows nothing of this project."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble import export
from mire.cli import run
from mire.labels import builtin_taxonomy
from mire.panel_folder import PanelFolder
from mire.settings import Qwen2VL, load_settings

PLAIN = """
import json, sys
import torch
try:
    import torchvision
except RuntimeError:  # a torchvision that was built for another torch keeps transformers from being imported
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from peft import PeftModel
from transformers import Qwen2VLForConditionalGeneration
base, adapter = sys.argv[1:]
model = Qwen2VLForConditionalGeneration.from_pretrained(base, dtype=torch.float32).eval()
ids = torch.arange(100, 120)[None]
with torch.no_grad():
    bare = model(input_ids=ids).logits[0, -1, :50]
    model = PeftModel.from_pretrained(model, adapter).eval()
    adapted = model(input_ids=ids).logits[0, -1, :50]
assert not {"mire", "experts", "ensemble"} & sys.modules.keys()
print(json.dumps([bare.tolist(), adapted.tolist()]))
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Qwen2VL:
    from experts.qwen2vl.nano import build_nano

    folder = tmp_path_factory.mktemp("base") / "my-base"
    folder.mkdir()
    build_nano(folder, n_steps=0)
    return load_settings("nano").qwen2vl.model_copy(update={"base": str(folder)})


@pytest.fixture(scope="module")
def panel(settings: Qwen2VL, tmp_path_factory: pytest.TempPathFactory) -> PanelFolder:
    """A panel that holds an untaught adapter for images, and nothing else."""
    import torch
    from peft import LoraConfig, get_peft_model

    from experts.qwen2vl.adapter import write_manifest
    from experts.qwen2vl.base import load_base
    from experts.qwen2vl.training.checkpoints import write_history
    from experts.qwen2vl.voter import manifest

    folder = PanelFolder(tmp_path_factory.mktemp("panel"))
    folder.claim(load_settings("nano").model_copy(update={"qwen2vl": settings}))
    folder.write_taxonomy(builtin_taxonomy("image"))
    base = load_base(settings, device="cpu")
    model = get_peft_model(base.model, LoraConfig(r=4, target_modules=settings.lora.target_modules))
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder.voter("image", "qwen2vl"))
    write_history([{"epoch": 1.0}, {"epoch": 2.0}], folder.voter("image", "qwen2vl"))
    write_manifest(manifest(base, builtin_taxonomy("image"), settings), folder.voter("image", "qwen2vl"))
    return folder


def export_to(out: Path, panel: PanelFolder, task: str = "image") -> int:
    return run(export, ["--panel", str(panel.root), "--task", task, "--out", str(out)])


@pytest.mark.slow
def test_plain_peft_loads_it_and_it_answers_as_here(panel: PanelFolder, settings: Qwen2VL, tmp_path: Path) -> None:
    import torch

    from experts.qwen2vl.base import load_base

    out = tmp_path / "exported"
    assert export_to(out, panel) == 0
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, settings.base, str(out)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bare, adapted = (torch.tensor(row) for row in json.loads(done.stdout.splitlines()[-1]))
    base = load_base(settings, device="cpu")
    base.attach("image", panel.voter("image", "qwen2vl"))
    with torch.no_grad():
        ours = base.adapted("image")(input_ids=torch.arange(100, 120)[None]).logits[0, -1, :50]
    assert torch.allclose(adapted, ours, atol=1e-4)
    assert not torch.allclose(bare, adapted, atol=1e-2)


def test_nothing_of_this_machine_goes_along(panel: PanelFolder, settings: Qwen2VL, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    assert export_to(out, panel) == 0
    assert {path.name for path in out.iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "mire.json", "taxonomy.json",
    }  # fmt: skip
    for path in out.glob("*.[jm]*"):
        assert str(Path(settings.base).parent) not in path.read_text(encoding="utf-8")
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "my-base"
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "base_model: my-base\nlibrary_name: peft" in card and "for 2.0 further epochs" in card


def test_a_full_folder_is_left_alone(panel: PanelFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert export_to(tmp_path, panel) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_panel_without_an_adapter(panel: PanelFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export_to(tmp_path / "out", panel, "dialogue") == 1
    assert "is no adapter of this project: mire.json is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
