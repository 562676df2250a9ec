"""Training with two processes gives the losses, the adapter and the votes of training with one."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from records import dialogue_instruction
from safetensors.numpy import load_file

from ensemble.training.accelerate_launch import Launch
from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.pictures import Patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.model.scoring import label_log_likelihoods
from experts.qwen2vl.nano import build_nano
from experts.qwen2vl.training.distributed import load_rank_base, with_blank_picture
from experts.qwen2vl.voter import Qwen2VLVoter
from mire.folds import write_folds
from mire.panel_folder import PanelFolder
from mire.samples import Sample, read_samples
from mire.settings import load_settings

N_LEARNED, N_HELD_OUT = 8, 5
SETTINGS = """
name: tiny
panel: {{image: [clip_lightgbm], dialogue: [qwen2vl]}}
qwen2vl:
  base: {base}
  layout: compact
  max_pixels: 9408
  lora: {{rank: 8, alpha: 16, dropout: 0.0, vision: true}}
  dialogue:
    {{epochs: 4, learning_rate: 2.0e-3, batch_size: 4, micro_batch_size: 1, gradient_checkpointing: true}}
"""


TRIE = LabelTrie.build([[10, 11, 5], [10, 12, 5], [13, 5]])
PROMPTS = [EncodedPrompt(str(n), tuple(range(200, 200 + n)), (), ()) for n in (7, 12)]


def test_a_blank_picture_changes_no_score(base: Base) -> None:
    plain = pack(PROMPTS, TRIE, image_pad=base.image_pad, pad=base.pad)
    blank = with_blank_picture(plain, base.image_pad, 14)
    assert blank.ids.tolist() == [[*plain.ids[0].tolist(), base.image_pad]]
    assert blank.mm_token_type_ids.tolist() == [[0] * plain.ids.shape[1] + [1]]
    assert blank.pixels is not None and blank.pixels.shape == (4, 588) and blank.pixels.unique().tolist() == [127]
    with torch.inference_mode():
        before, after = (label_log_likelihoods(base.model, batch, TRIE) for batch in (plain, blank))
    assert torch.equal(before, after)
    patches = Patches(np.zeros((4, 588), dtype=np.uint8), 2, 2)
    shown = pack([EncodedPrompt("p", (9, base.image_pad), (patches,), ())], TRIE, image_pad=base.image_pad, pad=0)
    assert with_blank_picture(shown, base.image_pad, 14) is shown


def test_through_a_blank_picture_the_vision_tower_takes_part_with_gradients_of_zero(base: Base) -> None:
    """Without gradients, even of zero, the processes of a training would wait for each other forever."""
    blank = with_blank_picture(pack(PROMPTS, TRIE, image_pad=base.image_pad, pad=base.pad), base.image_pad, 14)
    weights = base.model.model.visual.blocks[0].attn.qkv.weight.requires_grad_()
    (gradient,) = torch.autograd.grad(label_log_likelihoods(base.model, blank, TRIE).sum(), weights)
    assert torch.equal(gradient, torch.zeros_like(weights))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux lists what a process's memory is made of")
def test_weights_that_are_to_be_sharded_stay_in_their_file() -> None:
    """So the processes of a machine share them: none has 16 GB of a 7B in memory of its own."""
    nano = load_settings("nano").qwen2vl
    base = load_rank_base(nano.model_copy(update={"dtype": "bfloat16"}), sharded=True)
    areas = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    files = [tuple(int(end, 16) for end in area[0].split("-")) for area in areas if area[-1].endswith(".safetensors")]
    for name, weight in base.model.named_parameters():
        assert any(start <= weight.data_ptr() < end for start, end in files), name


@dataclass(frozen=True)
class Course:
    """A panel folder that is ready for training, every third dialogue with a picture."""

    root: Path
    samples: list[Sample]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def panel(self) -> PanelFolder:
        return PanelFolder(self.root / "panel")

    def start(self, launch: Launch, out: str) -> "subprocess.Popen[str]":
        words = ["--task", "dialogue", "--panel", str(self.panel.root), "--data", str(self.root / "data.json")]
        words += ["--images", str(self.root), "--out", str(self.root / out), "--fold", "0"]
        environment = {**launch.environment(), "OMP_NUM_THREADS": "1", **self.environment}
        return subprocess.Popen(
            launch.command(words), env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def train(self, launch: Launch, out: str) -> Path:
        with self.start(launch, out) as process:
            _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said
        return self.root / out


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    root = tmp_path_factory.mktemp("course")
    build_nano(root / "base", n_steps=0)
    Image.new("RGB", (60, 90), (200, 40, 30)).save(root / "a.png")
    said = {"是否会生锈": "会生锈吗", "何时上货": "什么时候有货", "适用季节": "冬天能穿吗"}
    records = []
    for number in range(N_LEARNED + N_HELD_OUT):
        label, question = list(said.items())[number % 3]
        seen = "<image>" if number % 3 == 0 else ""
        text = dialogue_instruction(f"用户: {seen}这个{question}{'?' * number}")
        record = {"id": f"{number:02d}", "instruction": text, "output": label, "image": ["a.png"] if seen else []}
        records.append(record)
    (root / "data.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    (root / "settings.yaml").write_text(SETTINGS.format(base=root / "base"))
    made = Course(root, read_samples(root / "data.json", root))
    settings = load_settings(str(root / "settings.yaml"))
    made.panel.claim(settings)
    made.panel.write_taxonomy(settings.taxonomy("dialogue"))
    folds = {sample.id: int(row < N_LEARNED) for row, sample in enumerate(made.samples)}
    write_folds(folds, made.samples, made.panel.folds("dialogue"))
    return made


@pytest.fixture(scope="module")
def alone(course: Course) -> Path:
    return course.train(Launch("ddp", (), 1), "alone")


def curve(folder: Path, key: str) -> list[float]:
    return [entry[key] for entry in json.loads((folder / "history.json").read_text()) if key in entry]


def votes(course: Course, folder: Path) -> list[tuple[float, ...]]:
    settings = course.panel.settings().qwen2vl
    base = load_base(settings, device="cpu")
    voter = Qwen2VLVoter.load(folder, base=base, taxonomy=course.panel.taxonomy("dialogue"), settings=settings)
    return [vote.probabilities for vote in voter.vote(course.samples) if vote]


def agree(course: Course, folder: Path, alone: Path) -> None:
    """The same curve, the same adapter, the same votes."""
    assert len(curve(alone, "loss")) == 4
    assert curve(folder, "loss") == pytest.approx(curve(alone, "loss"), rel=1e-5)
    # Five held-out samples do not divide among two: a row that came twice or was lost would show here.
    assert curve(folder, "eval_f1") == curve(alone, "eval_f1")
    assert curve(folder, "eval_accuracy") == curve(alone, "eval_accuracy")
    mine, other = (load_file(each / "adapter_model.safetensors") for each in (folder, alone))
    assert mine.keys() == other.keys()
    apart = np.concatenate([np.abs(weights - other[name]).ravel() for name, weights in mine.items()])
    # Where a gradient is almost zero Adam follows its sign, which sums in another order may turn.
    assert np.quantile(apart, 0.99) < 3e-5 and apart.max() < 1e-3
    np.testing.assert_allclose(votes(course, folder), votes(course, alone), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_learn_what_one_does(course: Course, alone: Path, kind: str) -> None:
    folder = course.train(Launch(kind, (), 2), kind)  # type: ignore[arg-type]
    agree(course, folder, alone)
    names = {"adapter_model.safetensors", "adapter_config.json", "mire.json", "history.json", "made_of.sha256"}
    assert {path.name for path in folder.iterdir() if path.is_file()} - {"README.md"} == names


AS_ON_GPUS = """
from accelerate import Accelerator

Accelerator.multi_device = property(lambda self: True)
"""


@pytest.mark.slow
def test_shards_are_trained_where_accelerate_sees_several_gpus(course: Course, alone: Path, tmp_path: Path) -> None:
    """There it refuses DDP around sharded weights, which it does not look for on CPUs."""
    (tmp_path / "sitecustomize.py").write_text(AS_ON_GPUS)
    # DDP names no device of a CPU's process.
    as_on_gpus = {"PYTHONPATH": str(tmp_path), "ACCELERATE_BYPASS_DEVICE_MAP": "true"}
    folder = replace(course, environment=as_on_gpus).train(Launch("fsdp", (), 2), "as-on-gpus")
    agree(course, folder, alone)


@pytest.mark.slow
def test_what_two_processes_began_two_with_shards_end(course: Course, alone: Path) -> None:
    with course.start(Launch("ddp", (), 2), "resumed") as process:
        while process.poll() is None and not list(course.root.glob("resumed/checkpoints/*/trainer_state.json")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=600)
    assert not (course.root / "resumed" / "mire.json").exists(), "it was stopped before the end"
    agree(course, course.train(Launch("fsdp", (), 2), "resumed"), alone)
