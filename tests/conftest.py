"""Shared by all tests: a tiny labelled set on disk, in the official format."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from records import dialogue_instruction, image_instruction

from mire.cli import start_process
from mire.compat import patch_torchvision

# How long an example takes says something of the machine, and of what the first one imports.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def started_process() -> None:
    """Libraries can be imported, and log lines are seen, as inside a command."""
    patch_torchvision()
    start_process()


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.json (4 samples of 3 labels a task) and images/: colours and words give the label."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "images").mkdir()
    records = []
    colours = {"购物车页面": (230, 60, 30), "退款页面": (30, 160, 60), "店铺页面": (40, 60, 220)}
    questions = {"是否会生锈": "会生锈吗", "何时上货": "什么时候有货", "适用季节": "冬天能穿吗"}
    for number in range(4):
        for label, (red, green, blue) in colours.items():
            name = f"{len(records):04x}.png"
            Image.new("RGB", (60 + 10 * number, 120), (red + 3 * number, green, blue)).save(root / "images" / name)
            records.append(_record(len(records), image_instruction(), label, [name]))
        for label, question in questions.items():
            text = dialogue_instruction("客服: 您好", f"用户: 这个{question}{'?' * number}")
            records.append(_record(len(records), text, label, []))
    (root / "train.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    return root


def _record(number: int, instruction: str, output: str, image: list[str]) -> dict[str, object]:
    return {"id": f"{number:04x}", "instruction": instruction, "input": "", "output": output, "image": image}


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[[object], Path]:
    """Writes a value as data.json and gives its path."""

    def write(value: object) -> Path:
        path = tmp_path / "data.json"
        path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        return path

    return write
