"""What the doctor foresees, in lines."""

from typing import Any

import pytest

from mire.cli import run
from mire.doctor import __main__ as doctor
from mire.doctor.check import Check
from mire.doctor.forecast import Machine, forecast, longest_sample, training_plan
from mire.doctor.training_cost import LongestSample, Shape
from mire.doctor.weights import GIB
from mire.launch_options import Kind
from mire.model_sizes import base_config
from mire.settings import load_settings


def lines(n_devices: int, gib: float, kind: Kind = "ddp") -> list[Check]:
    machine = Machine(n_devices, gpu=True, memory=gib * GIB, kind=kind)
    return list(forecast(load_settings("qwen2-vl-7b"), machine, 800))


def test_a_row_is_as_long_as_the_settings_allow() -> None:
    settings = load_settings("qwen2-vl-7b")
    shape = Shape.read(base_config(settings.qwen2vl.base))
    image = longest_sample(settings, "image", shape)
    assert (image.n_text, image.n_visual) == (350, 900_000 // 784)
    dialogue = longest_sample(settings, "dialogue", shape)
    assert dialogue.n_text + dialogue.n_visual == 4096
    assert isinstance(image, LongestSample) and image.n_nodes > 100


def test_seven_billion_fit_a_large_card_and_with_shards_a_small_one() -> None:
    assert not [finding for finding in lines(1, 80) if finding.fix]
    whole, shards = lines(4, 16), lines(4, 16, "fsdp")
    assert "does not fit" in whole[2].text
    assert whole[2].fix == "settings that fit are below"
    assert "fits" in shards[2].text and not shards[2].fix


def test_every_figure_says_that_it_is_computed() -> None:
    image = lines(2, 80)[:4]
    assert "batch of 8 = 2 devices x 4 samples x 1, at most 1,497 tokens each, 1,147 of them visual" in image[0].text
    assert image[0].text.endswith("; without gradient checkpoints")
    assert image[1].text.startswith("image     base 15.44, ")
    assert image[2].text.endswith("fits; computed, not measured")
    # 3 epochs: four fifths of the samples for the fold's adapter, then all of them
    assert "for the 5.4 of folds and final adapter; computed from 800 TFLOP/s at 37 %, not measured" in image[3].text


def test_every_seed_that_continues_an_adapter_is_counted() -> None:
    settings = load_settings("qwen2-vl-7b", ["qwen2vl.final=continue", "qwen2vl.final_seeds=3"])
    time = list(forecast(settings, Machine(1, gpu=True, memory=80 * GIB, kind="ddp"), 800))[3]
    # 3 epochs: four fifths of the samples for the fold's adapter, then three times a fifth of the epochs
    assert "for the 4.2 of folds and final adapter" in time.text


@pytest.mark.parametrize("gib", [16, 24, 48])
def test_what_is_proposed_fits_and_changes_no_more_than_it_must(gib: float) -> None:
    proposal = lines(1, gib)[-1].text
    overrides = [word for word in proposal.split() if word.startswith("qwen2vl.")]
    settings = load_settings("qwen2-vl-7b", [each.rstrip(";") for each in overrides])
    assert not [found for found in forecast(settings, Machine(1, True, gib * GIB, "ddp"), 800) if found.fix]
    # 15.4 GiB of weights leave room on a card of 24 and more; on 16 the decoder's take 3.1 GiB in nf4, 6.1 in int8.
    assert settings.qwen2vl.quantize == ("int8" if gib == 16 else "none")
    assert settings.qwen2vl.max_pixels == 900_000


def test_where_nothing_fits_other_machines_are_named() -> None:
    (last,) = lines(1, 4)[-1:]
    assert (last.text, last.fix) == (
        "no settings that were tried fit",
        "--launch fsdp on several GPUs, larger GPUs, or a smaller base",
    )


@pytest.mark.parametrize(
    ("changes", "memory", "expected"),
    [
        ({}, 80, False),  # computed: 65.4 GiB
        ({"image.gradient_checkpointing": "true"}, 80, True),
        ({}, 69, True),  # a tenth and 1.5 GiB would be missing
        ({"image.micro_batch_size": "2"}, 69, False),
        ({"dtype": "float32"}, 80, True),
    ],
)
def test_checkpoints_go_where_the_memory_is_large(changes: dict[str, str], memory: float, expected: bool) -> None:
    settings = load_settings("qwen2-vl-7b", [f"qwen2vl.{key}={value}" for key, value in changes.items()])
    shape = Shape.read(base_config(settings.qwen2vl.base))

    def on(machine: Machine) -> Any:
        return training_plan(settings, "image", shape, machine).training.gradient_checkpointing

    assert on(Machine(1, gpu=True, memory=memory * GIB, kind="ddp")) is expected
    assert on(Machine(4, gpu=True, memory=memory * GIB, kind="fsdp")) is True
    assert on(Machine(1, gpu=False, memory=memory * GIB, kind="ddp")) is True


def test_the_doctor_plans(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, ["--config", "nano", "--devices", "2", "--launch", "fsdp"]) == 0
    assert "training nano\n    image     batch of 8 = 2 devices x 4 samples x 1" in capsys.readouterr().out
    assert run(doctor, ["--config", "nano", "--devices", "3"]) == 1
    assert "a batch of 8 cannot be divided among 3 devices" in capsys.readouterr().err
