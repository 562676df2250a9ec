import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from records import dialogue_instruction

from experts.qwen2vl.base import load_base
from experts.qwen2vl.model.scoring import label_log_likelihoods
from experts.qwen2vl.training import trainer
from experts.qwen2vl.training.checkpoints import epoch_losses, last_epoch, resume_from, write_history
from experts.qwen2vl.training.trainer import train_adapter
from mire.errors import PanelError
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Qwen2VL, Training, load_settings


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


def test_the_last_epoch_is_that_of_the_history(tmp_path: Path) -> None:
    write_history([{"epoch": 1.0, "loss": 3.0}, {"epoch": 3.0, "eval_f1": 0.6}], tmp_path)
    assert last_epoch(tmp_path) == 3.0 and epoch_losses(tmp_path) == [3.0]
    assert last_epoch(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(("gpu", "room", "n"), [(True, 1 << 30, 4), (True, 64 << 20, 0), (False, 1 << 40, 0)])
def test_loaders_start_beside_a_gpu_where_shared_memory_holds_their_batches(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, room: int, n: int
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr(trainer, "shared_memory", lambda: room)
    assert trainer._n_loaders() == n


@pytest.mark.parametrize("n", [0, 2])
def test_loaders_keep_what_they_have_decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n: int) -> None:
    monkeypatch.setattr(trainer, "_n_loaders", lambda: n)
    model = torch.nn.Module()
    model.dtype = torch.float32  # type: ignore[assignment]
    made = trainer._arguments(Training(), tmp_path, 7, model=model, n_devices=1, evaluated=False)
    assert (made.dataloader_num_workers, made.dataloader_persistent_workers) == (n, n > 0)


@pytest.mark.parametrize(("native", "autocast"), [(True, True), (False, False)])
def test_nothing_is_cast_to_a_format_that_the_cpu_emulates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, native: bool, autocast: bool
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: native)
    model = torch.nn.Module()
    model.lm_head = torch.nn.Linear(1, 1, dtype=torch.bfloat16)
    model.dtype = torch.bfloat16  # type: ignore[assignment]
    assert trainer._arguments(Training(), tmp_path, 7, model=model, n_devices=1, evaluated=False).bf16 is autocast


def eight_dialogues() -> list[Sample]:
    """Of two labels in turn."""
    labels = builtin_taxonomy("dialogue").labels
    lines = [f"用户: {word}{'?' * n}" for n in range(4) for word in ("会生锈吗", "有货吗")]
    texts = [parse_prompt(dialogue_instruction(line)) for line in lines]
    return [Sample(id=str(n), prompt=text, label=labels[n % 2]) for n, text in enumerate(texts)]


@pytest.mark.slow
def test_the_average_outlives_a_cut_off_run(
    nano_settings: Qwen2VL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends after its last checkpoint: what resumes has no step left to average."""
    taxonomy, samples = builtin_taxonomy("dialogue"), eight_dialogues()

    def train(name: str, **entries: float) -> bytes:
        recipe = Training(epochs=2, batch_size=4, gradient_checkpointing=False, **entries)  # type: ignore[arg-type]
        stage = nano_settings.model_copy(update={"dialogue": recipe})
        settings = load_settings("nano").model_copy(update={"qwen2vl": stage})
        base, folder = load_base(nano_settings, device="cpu"), tmp_path / name
        train_adapter(base, samples, [], taxonomy=taxonomy, settings=settings, folder=folder)
        return (folder / "adapter_model.safetensors").read_bytes()

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    last, averaged = train("last"), train("averaged", average_from=0.5)
    assert averaged != last
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer, "write_history", cut_off)
        train("cut", average_from=0.5)
    assert train("cut", average_from=0.5) == averaged


@pytest.mark.slow
def test_r_drop_passes_a_batch_twice_with_other_dropout_and_judges_in_one(
    nano_settings: Qwen2VL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def score(*arguments: Any) -> torch.Tensor:
        seen.append(label_log_likelihoods(*arguments))
        return seen[-1]

    monkeypatch.setattr(trainer, "label_log_likelihoods", score)
    recipe = Training(epochs=2, warmup=0, batch_size=7, micro_batch_size=7, r_drop=1)
    lora = nano_settings.lora.model_copy(update={"dropout": 0.5})
    stage = nano_settings.model_copy(update={"lora": lora, "dialogue": recipe})
    settings = load_settings("nano").model_copy(update={"qwen2vl": stage})
    base, samples = load_base(nano_settings, device="cpu"), eight_dialogues()
    taxonomy = builtin_taxonomy("dialogue")
    train_adapter(base, samples[:7], samples[7:], taxonomy=taxonomy, settings=settings, folder=tmp_path)
    assert [len(each) for each in seen] == [7, 7, 1] * 2
    assert torch.equal(seen[0], seen[1]), "a new adapter adds nothing"
    assert not torch.equal(seen[3], seen[4]) and torch.allclose(seen[3], seen[4], atol=1)


@pytest.mark.slow
def test_the_fold_that_is_left_out_decides_nothing(
    nano_settings: Qwen2VL, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever its labels, the same adapter results; a line per epoch says how it fares."""
    taxonomy = builtin_taxonomy("dialogue")
    settings = load_settings("nano").model_copy(
        update={"qwen2vl": nano_settings.model_copy(update={"dialogue": Training(epochs=3, batch_size=4)})}
    )
    samples = eight_dialogues()
    weights = []
    caplog.set_level("INFO", logger="experts")
    for label in taxonomy.labels[:2]:
        held_out, folder = [replace(samples[7], label=label)], tmp_path / label
        fresh = load_base(nano_settings, device="cpu")
        train_adapter(fresh, samples[:7], held_out, taxonomy=taxonomy, settings=settings, folder=folder, title="x")
        weights.append((folder / "adapter_model.safetensors").read_bytes())
        assert last_epoch(folder) == 3.0
        assert len({path.stat().st_mode for path in folder.iterdir() if path.is_file()}) == 1
    assert weights[0] == weights[1]
    assert [re.sub(r"\d+\.\d{3}|\d+ s", "#", line) for line in caplog.messages[:3]] == [
        f"x: epoch {n} of 3, loss #, F1 #, #" for n in (1, 2, 3)
    ]
