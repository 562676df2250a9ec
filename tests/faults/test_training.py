"""Training that is stopped, whose worker dies, or whose checkpoint was cut short, goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench import finish

from experts.qwen2vl.training.checkpoints import resume_from
from mire.errors import PanelError
from mire.panel_folder import PanelFolder


def checkpoint(root: Path, step: int, state: str | None) -> None:
    (root / f"checkpoint-{step}").mkdir(parents=True)
    if state is not None:
        (root / f"checkpoint-{step}" / "trainer_state.json").write_text(state)


@pytest.mark.parametrize("state", [None, "", '{"epoch": 2, "log'])
def test_a_checkpoint_that_a_kill_cut_short_is_passed_over(tmp_path: Path, state: str | None) -> None:
    assert resume_from(tmp_path, "a") is None
    checkpoint(tmp_path, 10, "{}")
    checkpoint(tmp_path, 20, state)
    assert resume_from(tmp_path, "a") == str(tmp_path / "checkpoint-10")


def test_checkpoints_of_another_configuration_are_refused(tmp_path: Path) -> None:
    resume_from(tmp_path, "a")
    with pytest.raises(PanelError, match="holds checkpoints of other settings or samples; delete it"):
        resume_from(tmp_path, "b")


@pytest.fixture(scope="module")
def command(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Training of one untaught nano adapter after the other, long enough to be disturbed."""
    from experts.qwen2vl.nano import build_nano

    root = tmp_path_factory.mktemp("training")
    build_nano(root / "base", n_steps=0)
    training = "{epochs: 30, batch_size: 4, micro_batch_size: 2}"
    (root / "c.yaml").write_text(
        "name: tiny\nfolds: 2\npanel: {image: [clip_lightgbm], dialogue: [qwen2vl]}\n"
        f"qwen2vl: {{base: {root / 'base'}, layout: compact, dialogue: {training}}}\n"
    )
    return [
        sys.executable, "-m", "ensemble.train", "dialogue", "--data", str(tiny_set / "train.json"),
        "--images", str(tiny_set / "images"), "--config", str(root / "c.yaml"), "--devices", "1", "--panel",
    ]  # fmt: skip


def beside(panel: Path) -> Path:
    return PanelFolder(panel).beside("dialogue").root


def running(panel: Path) -> list[int]:
    """Process ids of those that train for this panel."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended
            continue
        if words[1:3] == ["-m", "experts.qwen2vl.train"] and str(beside(panel)) in words:
            found.append(int(entry.parent.name))
    return found


def disturb(
    command: list[str], panel: Path, sub: str, do: Callable[["subprocess.Popen[str]"], None]
) -> tuple[int, str]:
    """Start the training, act when a checkpoint of ``sub`` is there, and wait for the end."""
    with subprocess.Popen(
        [*command, str(panel)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        while not list((beside(panel) / "dialogue" / "qwen2vl" / sub).glob("checkpoint-*/trainer_state.json")):
            assert process.poll() is None, f"it ended before there was a checkpoint in {sub}"
            time.sleep(0.02)
        do(process)
        _, said = process.communicate(timeout=300)
    return process.returncode, said


@pytest.mark.slow
def test_stopped_and_killed_in_every_phase_training_ends_as_if_undisturbed(command: list[str], tmp_path: Path) -> None:
    panel = tmp_path / "panel"

    def stop(process: "subprocess.Popen[str]") -> None:
        process.send_signal(signal.SIGTERM)

    def kill_worker(process: "subprocess.Popen[str]") -> None:
        while not (trainers := running(panel)):
            assert process.poll() is None, "it ended before it trained"
            time.sleep(0.02)
        os.kill(trainers[0], signal.SIGKILL)

    code, said = disturb(command, panel, "folds/0/checkpoints", stop)
    assert code == 143
    assert said.splitlines()[-1].startswith("error: stopped by SIGTERM")
    assert running(panel) == []
    code, said = disturb(command, panel, "folds/0/checkpoints", kill_worker)
    assert code == 1
    assert said.splitlines()[-1].startswith("error: training the dialogue adapter failed (exit code ")
    code, said = disturb(command, panel, "checkpoints", kill_worker)
    assert code == 1, said

    done = finish([*command, str(panel)], dict(os.environ))
    assert done.returncode == 0, done.stderr
    untouched = tmp_path / "untouched"
    assert finish([*command, str(untouched)], dict(os.environ)).returncode == 0
    for name in ("qwen2vl/adapter_model.safetensors", "votes/qwen2vl.json", "weights.json"):
        assert (panel / "dialogue" / name).read_bytes() == (untouched / "dialogue" / name).read_bytes(), name
    assert json.loads((panel / "dialogue" / "votes" / "qwen2vl.json").read_text(encoding="utf-8"))["votes"]
