"""Shared by all tests: a tiny labelled set on disk, in the official format, and a panel that is trained on it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from records import dialogue_instruction, image_instruction
from tiny import SETTINGS

from ensemble import train
from mire.cli import run, start_process
from mire.compat import patch_torchvision

# How long an example takes depends on the machine, and on what the first one imports: no deadline.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: of several workers none then ends with a long file while the others wait."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def started_process() -> None:
    """Libraries can be imported, and log lines are seen, as inside a command."""
    patch_torchvision()
    start_process()


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.json (4 samples per label, 3 labels per task) and images/; colours and words give the label.

    Sample ``0000`` to ``0002`` are pictures, ``0003`` to ``0005`` dialogues, and so on.
    """
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


@pytest.fixture(scope="session")
def tiny_panel(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The panel that is trained on all of the tiny set, once per session; a test that changes it copies it.

    Beside it lie ``tiny.yaml``, its settings, and ``cache``, which holds what was computed from its pictures.
    """
    root = tmp_path_factory.mktemp("tiny-panel")
    (root / "tiny.yaml").write_text(SETTINGS)
    data = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRE_CACHE", str(root / "cache"))
        assert run(train, ["all", *data, "--panel", str(root / "panel"), "--config", str(root / "tiny.yaml")]) == 0
    trained = _contents(root / "panel")
    yield root / "panel"
    assert _contents(root / "panel") == trained, "a test changed the panel that all tests share"


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[[object], Path]:
    """Writes a value as data.json and gives its path."""

    def write(value: object) -> Path:
        path = tmp_path / "data.json"
        path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        return path

    return write
