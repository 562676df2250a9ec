"""The whole chain with every family's tiny checkpoint, plain and quantised: train, predict, export, convert."""

import csv
import json
from pathlib import Path

import pytest
from family_bases import make_base
from qwen2vl_inputs import make_adapter

from ensemble import export, predict, train
from experts.qwen2vl import convert
from experts.qwen2vl.families import FAMILIES
from mire.cli import run
from mire.settings import load_settings

SETTINGS = """
name: family
folds: 2
panel: {{image: [qwen2vl], dialogue: [qwen2vl]}}
qwen2vl:
  base: {base}
  quantize: {quantize}
  layout: compact
  final: merge
  max_pixels: 20000
  max_tokens: 192
  lora: {{rank: 4, vision: true}}
  image: {{epochs: 1, batch_size: 4, gradient_checkpointing: true}}
  dialogue: {{epochs: 1, batch_size: 4}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("family", "quantize"), [*((name, "none") for name in FAMILIES), ("qwen3_vl", "nf4")])
def test_a_base_goes_through_the_whole_chain(
    family: str, quantize: str, tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quantize != "none":
        pytest.importorskip("bitsandbytes")
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))
    base, config, panel = make_base(tmp_path / "base", family), tmp_path / "family.yaml", tmp_path / "panel"
    config.write_text(SETTINGS.format(base=base, quantize=quantize))
    data = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    assert run(train, ["all", *data, "--panel", str(panel), "--config", str(config)]) == 0
    assert run(predict, [*data, "--panel", str(panel), "--out", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 24
    report = json.loads((tmp_path / "out.report.json").read_text(encoding="utf-8"))
    assert report["degraded"] == {}
    assert run(export, ["--panel", str(panel), "--task", "image", "--out", str(tmp_path / "exported")]) == 0
    # As LLaMA-Factory leaves it: without our manifest.
    settings = load_settings(str(config)).qwen2vl
    made = make_adapter(tmp_path / "made", settings.model_copy(update={"quantize": "none"}), "dialogue")
    (made / "mire.json").unlink()
    arguments = ["--adapter", str(made), "--out", str(tmp_path / "new"), "--task", "dialogue", "--config", str(config)]
    assert run(convert, arguments) == 0
