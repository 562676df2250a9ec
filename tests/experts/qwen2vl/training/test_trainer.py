from pathlib import Path

import pytest
import torch

from experts.qwen2vl.training.checkpoints import best_epoch, last_epoch, resume_from, write_history
from experts.qwen2vl.training.trainer import label_loss
from mire.errors import PanelError


def test_both_losses_by_hand() -> None:
    # two samples, three labels of 1, 2 and 4 tokens
    likelihoods = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -6.0, -4.0]])
    labels, lengths = torch.tensor([0, 1]), torch.tensor([1, 2, 4])
    # sft: (1 + 6) / (1 + 2) tokens
    assert float(label_loss(likelihoods, labels, "sft", lengths)) == pytest.approx(7 / 3)
    # label_set: log(1 + e^-1 + e^-2) = 0.40761, log(1 + 2 e^2) = 2.75862
    assert float(label_loss(likelihoods, labels, "label_set", lengths)) == pytest.approx(
        (0.407606 + 2.758623) / 2, abs=1e-5
    )


def test_a_cut_off_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert resume_from(folder, "settings 1") is None
    assert resume_from(folder, "settings 1") is None
    for step, state in ((9, "{}"), (12, "{}"), (15, "{half")):
        (folder / f"checkpoint-{step}").mkdir()
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert resume_from(folder, "settings 1") == str(folder / "checkpoint-12"), "the last whole one"


def test_checkpoints_of_other_settings_are_refused(tmp_path: Path) -> None:
    resume_from(tmp_path, "settings 1")
    with pytest.raises(PanelError, match="holds checkpoints of other settings or samples; delete it to start afresh"):
        resume_from(tmp_path, "settings 2")


def test_the_best_epoch_is_the_first_of_equal_ones(tmp_path: Path) -> None:
    log = [{"epoch": 1.0, "loss": 3.0}] + [
        {"epoch": e, "eval_f1": f1} for e, f1 in ((1.0, 0.2), (2.0, 0.6), (3.0, 0.6))
    ]
    write_history(log, tmp_path)
    assert best_epoch(tmp_path) == 2.0
    assert last_epoch(tmp_path) == 3.0
    assert last_epoch(tmp_path / "elsewhere") is None
