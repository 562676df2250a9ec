"""An exported panel answers as the original, and tells nothing of the samples and the machine that it was made on."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ensemble import export
from ensemble.panel import Panel
from experts.qwen2vl.adapter import Manifest, write_manifest
from mire.budget import Ledger
from mire.cli import run
from mire.folds import digest
from mire.labels import builtin_taxonomy
from mire.panel_folder import PanelFolder
from mire.samples import read_samples
from mire.settings import load_settings

HOME = "/home/zhangsan"
CUSTOMER = "你好我是王小明住在文三路"


@pytest.fixture(scope="module")
def exported(tiny_panel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "shared"
    assert run(export, ["--panel", str(tiny_panel), "--out", str(out)]) == 0
    return out


@pytest.fixture
def adapters(tiny_panel: Path, tmp_path: Path) -> Path:
    """A panel with an adapter, as training and pseudo-labels leave it, and with a report that somebody put into it."""
    root = tmp_path / "panel"
    shutil.copytree(tiny_panel / "dialogue", root / "dialogue")
    settings = load_settings(
        "nano", ["panel.image=[qwen2vl]", "panel.dialogue=[dialogue_text]", f"qwen2vl.base={HOME}/b"]
    )
    PanelFolder(root).claim(settings)
    PanelFolder(root).write_taxonomy(builtin_taxonomy("image"))
    config = {"base_model_name_or_path": f"{HOME}/b", "target_modules": ["q"], "revision": f"C:\\Users\\{HOME[6:]}\\b"}
    manifest = {"task": "image", "base": f"{HOME}/b", "layout": "official"}
    sample = {"id": "id-4711", "instruction": CUSTOMER, "output": "店铺页面", "digest": "0123456789abcdef"}
    voter = "image/qwen2vl"
    for name, body in {
        "image/weights.json": {"voters": {"qwen2vl": {"weight": 1.0}}},
        "image/folds.json": sample, "image/votes/qwen2vl.json": sample, "image/pseudo/all.json": [sample],
        "image/pseudo/without-fold-0.json": [sample], "ablation.json": sample, "ablation.html": sample,
        f"{voter}/adapter_config.json": config, f"{voter}/mire.json": manifest, f"{voter}/adapter_model.safetensors": 0,
        f"{voter}/README.md": HOME, f"{voter}/history.json": [], f"{voter}/made_of.sha256": "0123456789abcdef",
        f"{voter}/logs/events.out.tfevents.1.host": HOME, f"{voter}/events.out.tfevents.2.host": HOME,
        f"{voter}/folds/0/adapter_config.json": config, f"{voter}/checkpoints/checkpoint-1/trainer_state.json": HOME,
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    return root


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder: Path) -> Iterator[bytes]:
    """Every byte under a folder, with the names, and what lies in zips unpacked."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        yield path.relative_to(folder).as_posix().encode()
        yield path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                yield from (packed.read(name) for name in packed.namelist())


def test_it_holds_what_a_prediction_needs_and_nothing_else(exported: Path) -> None:
    assert names(exported) == {
        "README.md", "settings.json",
        "image/taxonomy.json", "image/weights.json", "image/card.json",
        "image/clip_lightgbm/model.txt", "image/clip_lightgbm/meta.json",
        "dialogue/taxonomy.json", "dialogue/weights.json", "dialogue/card.json",
        "dialogue/dialogue_text/linear.skops", "dialogue/dialogue_text/lexicon.json",
        "dialogue/dialogue_text/meta.json",
    }  # fmt: skip
    assert "Trained " in (exported / "README.md").read_text(encoding="utf-8")


def test_it_answers_as_the_original(
    exported: Path, tiny_panel: Path, tiny_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tiny_panel.with_name("cache")))
    samples = read_samples(tiny_set / "train.json", tiny_set / "images")
    first, second = (Panel.load(folder).predict(samples, Ledger()) for folder in (tiny_panel, exported))
    assert first == second and len(first) == 24


def test_no_byte_of_it_tells_of_the_samples_or_the_machine(exported: Path, tiny_panel: Path, tiny_set: Path) -> None:
    samples = read_samples(tiny_set / "train.json", tiny_set / "images")
    told = {f'"{sample.id}"' for sample in samples} | {digest(sample) for sample in samples}
    told |= {turn.text for sample in samples for turn in sample.turns if len(turn.text) > 3}
    told |= {path.name for sample in samples for path in sample.images}
    told |= {str(tiny_set), str(tiny_panel), str(Path.home()) + "/"}
    assert len(told) > 60
    original = b"".join(contents(tiny_panel))
    assert all(digest(sample).encode() in original for sample in samples)
    for content in contents(exported):
        assert not [secret for secret in told if secret.encode() in content]


def test_an_adapter_leaves_logs_pseudo_labels_and_paths_behind(adapters: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(export, ["--panel", str(adapters), "--out", str(out)]) == 0
    assert {name for name in names(out) if name.startswith("image/")} == {
        "image/taxonomy.json", "image/weights.json", "image/qwen2vl/adapter_config.json",
        "image/qwen2vl/adapter_model.safetensors", "image/qwen2vl/mire.json",
    }  # fmt: skip
    for content in contents(out):
        for secret in (HOME, "zhangsan", "id-4711", CUSTOMER, "0123456789abcdef", str(tmp_path), "tfevents"):
            assert secret.encode() not in content
    assert json.loads((out / "settings.json").read_text())["qwen2vl"]["base"] == "b"
    assert json.loads((out / "image/qwen2vl/mire.json").read_text())["base"] == "b"
    for name in ("lexicon.json", "linear.skops"):
        one, other = (root / "dialogue/dialogue_text" / name for root in (adapters, out))
        assert one.read_bytes() == other.read_bytes()


def test_a_panel_with_a_missing_file_is_not_half_exported(
    adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (adapters / "image/qwen2vl/mire.json").unlink()
    assert run(export, ["--panel", str(adapters), "--out", str(tmp_path / "out")]) == 1
    assert "mire.json is missing; copy the panel again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["model.txt", "meta.json", "."])
def test_what_links_out_of_a_panel_point_to_is_not_exported(
    tiny_panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    root = Path(shutil.copytree(tiny_panel, tmp_path / "panel"))
    linked = root / "image/clip_lightgbm" / place
    linked.rename(tmp_path / "secret")
    linked.symlink_to(tmp_path / "secret")
    assert run(export, ["--panel", str(root), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"error: {root / 'image/clip_lightgbm'}" in said and said.count("\n") == 1
    assert f"lies behind a link that leads to no file of {root}: what lies there would be copied" in said
    assert not (tmp_path / "out").exists()


def test_a_link_inside_a_panel_is_exported_as_the_file(tiny_panel: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(tiny_panel, tmp_path / "panel"))
    model = root / "image/clip_lightgbm/model.txt"
    model.rename(root / "image/kept.txt")
    model.symlink_to(Path("../kept.txt"))
    (tmp_path / "link").symlink_to(root)
    assert run(export, ["--panel", str(tmp_path / "link"), "--out", str(tmp_path / "out")]) == 0
    copied = tmp_path / "out/image/clip_lightgbm/model.txt"
    assert not copied.is_symlink() and copied.read_bytes() == model.read_bytes()


def test_an_adapter_that_is_a_link_is_not_exported_alone(
    adapters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = Manifest(
        task="image", base="nano", base_fingerprint="0" * 12, layout="official", taxonomy="0" * 12, min_pixels=3136,
        max_pixels=9408, max_tokens=1024,
    )  # fmt: skip
    write_manifest(manifest, adapters / "image/qwen2vl")
    weights = adapters / "image/qwen2vl/adapter_model.safetensors"
    weights.rename(tmp_path / "secret")
    weights.symlink_to(tmp_path / "secret")
    assert run(export, ["--panel", str(adapters), "--task", "image", "--out", str(tmp_path / "out")]) == 1
    assert f"{weights} lies behind a link that leads to no file of {adapters}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("panel", "said"), [("empty", "is no panel"), ("full", "is not empty; name another --out")])
def test_what_cannot_be_exported(
    tiny_panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], panel: str, said: str
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    source = tmp_path if panel == "empty" else tiny_panel
    assert run(export, ["--panel", str(source), "--out", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err
