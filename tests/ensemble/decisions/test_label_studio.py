"""What is written for people is what Label Studio's own SDK accepts.

The SDK's requirements do not fit beside ours (it wants an older OpenCV), so it is installed apart, without them, and
with those that its validation imports.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ensemble import predict
from mire.cli import run
from mire.labels import TASKS

SDK = (
    "label_studio_sdk==2.1.2", "appdirs==1.4.4", "cffi==2.1.1", "cryptography==50.0.2", "faker==40.63.0",
    "jsf==0.11.2", "PyJWT==2.15.1", "lxml==6.1.3", "pycparser==3.12", "rstr==3.2.2", "smart_open==9.0.2",
    "wrapt==2.5.2", "xmljson==0.2.1",
)  # fmt: skip
VALIDATION = """
import json, sys
from pathlib import Path
from label_studio_sdk.label_interface import LabelInterface

folder = Path(sys.argv[1])
interface = LabelInterface((folder / "label_config.xml").read_text("utf-8"))
interface.validate()
tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
predictions = [one for task in tasks for one in task["predictions"]]
wrong = json.loads(json.dumps(predictions[0]))
wrong["result"][0]["value"]["choices"] = ["no such label"]
print(json.dumps({
    "n": len(tasks),
    # Its check of a whole task fails on any prediction, so that data and predictions are given apart.
    "tasks": [bool(interface.validate_task({"data": task["data"]})) for task in tasks],
    "without": bool(interface.validate_task({"data": {"sample": "x"}})),
    "predictions": [interface.validate_prediction(one, return_errors=True) for one in predictions],
    "wrong": interface.validate_prediction(wrong, return_errors=True),
}))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the SDK's packages."""
    folder = tmp_path_factory.mktemp("sdk")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--target")
    subprocess.run([*pip, str(folder), *SDK], check=True)
    return folder


def test_its_validation_takes_configurations_tasks_and_predictions(
    sdk: Path, tiny_panel: Path, tiny_set: Path, tmp_path: Path
) -> None:
    files = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    out = ["--out", str(tmp_path / "out.csv"), "--review", str(tmp_path / "queue")]
    assert run(predict, [*files, "--panel", str(tiny_panel), *out]) == 0
    for task in TASKS:
        found = validated(tmp_path / "queue" / task, sdk)
        assert found["n"] == len(found["tasks"]) == len(found["predictions"]) > 0
        assert all(found["tasks"]) and not found["without"]
        assert not any(found["predictions"]) and found["wrong"]


def validated(folder: Path, sdk: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", VALIDATION, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(sdk)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
