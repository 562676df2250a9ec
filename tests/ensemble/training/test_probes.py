"""What a trained voter is asked again, and the accidents of a training that goes wrong."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from records import dialogue_instruction, image_instruction

from ensemble import train
from ensemble.training.probes import probe, with_grey_pictures, with_reversed_turns
from experts.qwen2vl.nano import build_nano
from mire.cli import run
from mire.images import NO_PICTURE
from mire.labels import builtin_taxonomy
from mire.panel_card import read_card
from mire.panel_folder import PanelFolder
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote


def test_turns_are_reversed_and_take_their_pictures_with_them() -> None:
    lines = ("用户: 看 <image> 和 <image>", "客服: 您好", "用户: <image>")
    sample = Sample("s", parse_prompt(dialogue_instruction(*lines)), (Path("a"), Path("b"), Path("c")))
    changed = with_reversed_turns(sample)
    assert changed is not None
    assert changed.prompt == parse_prompt(dialogue_instruction(*reversed(lines)))
    assert changed.images == (Path("c"), Path("a"), Path("b"))


def test_a_dialogue_with_one_question_has_no_order() -> None:
    sample = Sample("s", parse_prompt(dialogue_instruction("客服: 您好", "用户: 会生锈吗")))
    assert with_reversed_turns(sample) is None


def test_pictures_become_grey() -> None:
    sample = Sample("s", parse_prompt(image_instruction()), (Path("a.png"),))
    grey = with_grey_pictures(sample)
    assert grey is not None and grey.images == (NO_PICTURE,)
    assert with_grey_pictures(replace(sample, images=())) is None


class Reader:
    """Answers label 1 to a sample with a picture, label 0 to one without, and label 2 without training."""

    taxonomy = builtin_taxonomy("image")
    trained = True

    def untrained(self) -> Any:
        return SimpleNamespace(vote=lambda samples: [self.answer(sample, 2) for sample in samples])

    def vote(self, samples: list[Sample]) -> list[Vote]:
        return [self.answer(sample, int(sample.images != (NO_PICTURE,))) for sample in samples]

    def answer(self, sample: Sample, index: int) -> Vote:
        return Vote("reader", sample.id, tuple(np.eye(len(self.taxonomy.labels))[index]))


def test_the_same_samples_are_asked_again_and_at_most_64() -> None:
    prompt, labels = parse_prompt(image_instruction()), builtin_taxonomy("image").labels
    samples = [Sample(str(n), prompt, (Path("a.png"),), labels[1 + n % 2]) for n in range(70)]
    reader: Any = Reader()
    votes = [*reader.vote(samples[:69]), None]
    found = probe(reader, samples, votes, [1.0], seed=7)
    before, after = found.altered["grey pictures"]
    assert len(before) == len(after) == len(found.right) == 64
    assert (before == 1).all() and (after == 0).all()
    assert (found.right ^ found.base_right).all() and 20 < found.right.sum() < 44
    again = probe(reader, samples, votes, [1.0], seed=7)
    assert (again.right == found.right).all(), "the same samples every time"


@pytest.mark.slow
def test_a_training_that_goes_wrong_is_named_in_one_line_and_in_the_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The learning rate is a thousand times too high: every dialogue gets the same label."""
    build_nano(tmp_path / "base", n_steps=0)
    (tmp_path / "wild.yaml").write_text(f"""
name: wild
folds: 2
panel: {{image: [clip_lightgbm], dialogue: [qwen2vl]}}
qwen2vl:
  base: {tmp_path / "base"}
  layout: compact
  final: merge
  lora: {{rank: 8, alpha: 16, dropout: 0.0}}
  dialogue: {{epochs: 2, learning_rate: 1.0, warmup: 0, batch_size: 8, gradient_checkpointing: false}}
""")
    questions = {"是否会生锈": "会生锈吗", "何时上货": "什么时候有货", "适用季节": "冬天能穿吗"}
    records = [
        {"id": f"{label}{n}", "instruction": dialogue_instruction(f"用户: {'你好' * n}", f"用户: {asked}"), "input": "",
         "output": label, "image": []}
        for label, asked in questions.items() for n in range(16)
    ]  # fmt: skip
    (tmp_path / "train.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    words = ["dialogue", "--data", str(tmp_path / "train.json"), "--images", str(tmp_path), "--panel"]
    assert run(train, [*words, str(tmp_path / "p"), "--config", str(tmp_path / "wild.yaml")]) == 0
    panel = PanelFolder(tmp_path / "p")
    card = read_card(panel, "dialogue")
    assert card is not None
    (first, *_) = card.checks["qwen2vl"].accidents
    assert first.startswith("100% of 24 answers are ") and "; usually learning_rate is too high" in first
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"dialogue: WARNING, qwen2vl: {first}") and last.endswith(f"({panel.card('dialogue')})")
    assert first in (panel.root / "README.md").read_text(encoding="utf-8")
