"""Adapters: what is checked before one is used."""

import json
from pathlib import Path

import pytest
from qwen2vl_inputs import make_adapter

from experts.qwen2vl.adapter import Manifest, check_manifest, read_manifest, write_manifest
from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.voter import Qwen2VLVoter
from mire.errors import PanelError
from mire.labels import Task, builtin_taxonomy
from mire.settings import Qwen2VL


def load(folder: Path, base: Base, settings: Qwen2VL, task: Task = "image") -> Qwen2VLVoter:
    return Qwen2VLVoter.load(folder, base=base, taxonomy=builtin_taxonomy(task), settings=settings)


def test_two_adapters_share_one_base_and_answer_differently(base: Base, nano_settings: Qwen2VL, tmp_path: Path) -> None:
    from records import dialogue_instruction

    from mire.prompts import parse_prompt
    from mire.samples import Sample

    n_base = base.n_parameters
    voters = [
        load(make_adapter(tmp_path / task, nano_settings, task), base, nano_settings, task)
        for task in ("image", "dialogue")
    ]
    assert base.n_parameters == n_base
    assert voters[0].parameters.keys() & voters[1].parameters.keys() == {f"base {nano_settings.base}"}
    assert base.n_adapter_parameters("image") == base.n_adapter_parameters("dialogue") > 0
    sample = Sample(id="s", prompt=parse_prompt(dialogue_instruction("用户: 会生锈吗")))
    first = [voter.vote([sample])[0] for voter in voters]
    again = [voter.vote([sample])[0] for voter in voters]
    assert first == again
    assert first[0] is not None and first[1] is not None
    assert first[0].probabilities != first[1].probabilities
    assert sum(first[0].probabilities) == pytest.approx(1)


def test_batching_and_order_change_nothing(base: Base, nano_settings: Qwen2VL, tmp_path: Path) -> None:
    from records import dialogue_instruction

    from mire.prompts import parse_prompt
    from mire.samples import Sample

    voter = load(make_adapter(tmp_path / "a", nano_settings, "dialogue"), base, nano_settings, "dialogue")
    samples = [
        Sample(id=str(n), prompt=parse_prompt(dialogue_instruction("用户: " + "会生锈吗" * (n + 1)))) for n in range(7)
    ]
    together = {vote.sample_id: vote for vote in voter.vote(samples) if vote}
    for vote in [vote for sample in reversed(samples) for vote in voter.vote([sample]) if vote]:
        assert vote.probabilities == pytest.approx(together[vote.sample_id].probabilities, abs=1e-5)


def test_both_sides_of_a_mismatch_are_named(tmp_path: Path) -> None:
    found = Manifest(
        task="image", base="nano", base_fingerprint="aa", layout="compact", taxonomy="t1", min_pixels=1, max_pixels=2,
        max_tokens=3,
    )  # fmt: skip
    wanted = found.model_copy(update={"max_pixels": 900, "layout": "official"})
    with pytest.raises(PanelError, match="layout 'compact' but 'official' is asked for; max_pixels 2 but 900 is asked"):
        check_manifest(found, wanted, tmp_path)
    check_manifest(found, found, tmp_path)


def test_an_adapter_of_another_base_is_refused(base: Base, nano_settings: Qwen2VL, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", nano_settings, "image")
    other = read_manifest(folder).model_copy(update={"base_fingerprint": "0123456789ab"})
    write_manifest(other, folder)
    with pytest.raises(PanelError, match="base_fingerprint '0123456789ab' but "):
        load(folder, base, nano_settings)


def test_an_adapter_of_old_module_names_is_refused(base: Base, nano_settings: Qwen2VL, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_adapter(tmp_path / "a", nano_settings, "image")
    path = folder / "adapter_model.safetensors"
    old = {key.replace("model.language_model.", "model."): value for key, value in load_file(path).items()}
    save_file(old, path)
    with pytest.raises(PanelError, match=r"keys do not fit the base: \d+ missing \(first: .*language_model.*unknown"):
        load(folder, base, nano_settings)


def test_an_adapter_that_does_nothing_is_refused(base: Base, nano_settings: Qwen2VL, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", nano_settings, "image", zero=True)
    with pytest.raises(PanelError, match="the adapter changes nothing"):
        load(folder, base, nano_settings)


@pytest.mark.parametrize(
    ("value", "message"), [(0.0, "the adapter changes nothing"), (float("nan"), "are infinite or none")]
)
def test_an_adapter_of_nothing_or_of_no_numbers_is_refused(
    base: Base, nano_settings: Qwen2VL, tmp_path: Path, value: float, message: str
) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_adapter(tmp_path / "a", nano_settings, "image")
    path = folder / "adapter_model.safetensors"
    save_file({key: tensor * value if "lora_A" in key else tensor for key, tensor in load_file(path).items()}, path)
    with pytest.raises(PanelError, match=message):
        load(folder, base, nano_settings)


def test_pickled_adapter_weights_are_not_read(base: Base, nano_settings: Qwen2VL, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", nano_settings, "image")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(PanelError, match="holds no adapter_model.safetensors; adapters are only read as safetensors"):
        load(folder, base, nano_settings)


def test_a_folder_without_manifest_or_with_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match=r"is no adapter of this project: mire.json is missing"):
        read_manifest(tmp_path)
    (tmp_path / "mire.json").write_text(json.dumps({"task": "video"}))
    with pytest.raises(PanelError, match=r"mire.json is broken"):
        read_manifest(tmp_path)


def test_an_unloadable_base_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="config.json is missing; download it again, whole"):
        load_base(Qwen2VL(base=str(tmp_path)))


def test_an_adapter_brings_its_way_of_resizing(base: Base, nano_settings: Qwen2VL, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", nano_settings, "image")
    assert load(folder, base, nano_settings).encoder.resize == "qwen2vl"
    body = json.loads((folder / "mire.json").read_text())
    (folder / "mire.json").write_text(json.dumps({key: value for key, value in body.items() if key != "resize"}))
    assert read_manifest(folder).resize == "qwen2vl"
    write_manifest(read_manifest(folder).model_copy(update={"resize": "llamafactory"}), folder)
    assert load(folder, base, nano_settings).encoder.resize == "llamafactory"
