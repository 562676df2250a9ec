"""What is promised of the samples that ship with the project."""

from collections import Counter
from pathlib import Path

import pytest

from mire.images import content_hash
from mire.labels import TASKS, Task, builtin_taxonomy
from mire.samples import Sample, read_samples
from router.route import route

FOLDER = Path(__file__).parents[1] / "samples"
MOST_BYTES = 15_000_000
AT_LEAST = {"train": 12, "test": 5}
LINK = "<http>"
"""Stands for a shared link in the challenge's own files: the one turn that train and test may have in common."""


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Sample]]:
    return {part: read_samples(FOLDER / f"{part}.json", FOLDER / "images") for part in AT_LEAST}


def test_nothing_is_wrong_with_them_and_the_router_knows_them(parts: dict[str, list[Sample]]) -> None:
    for sample in (*parts["train"], *parts["test"]):
        assert sample.problems == ()
        assert sample.label in builtin_taxonomy(route(sample.prompt).task)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("part", AT_LEAST)
def test_every_live_label_has_enough_samples(parts: dict[str, list[Sample]], part: str, task: Task) -> None:
    counts = Counter(sample.label for sample in parts[part] if route(sample.prompt).task == task)
    assert counts.keys() == set(builtin_taxonomy(task).labels)
    assert min(counts.values()) >= AT_LEAST[part]


def test_they_are_small_and_no_picture_lies_there_unused(parts: dict[str, list[Sample]]) -> None:
    files = {path for path in [*FOLDER.glob("*.json"), *FOLDER.glob("images/**/*")] if path.is_file()}
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    used = {path for samples in parts.values() for sample in samples for path in sample.images}
    assert files == used | {FOLDER / "train.json", FOLDER / "test.json"}


def test_train_and_test_share_no_id_no_picture_and_no_turn(parts: dict[str, list[Sample]]) -> None:
    ids, pictures, turns = [], [], []
    for samples in parts.values():
        ids.append({sample.id for sample in samples})
        pictures.append({content_hash(path) for sample in samples for path in sample.images})
        said = {turn.text.replace("<image>", "").strip() for sample in samples for turn in sample.turns}
        turns.append(said - {"", LINK})
    assert not ids[0] & ids[1] and not pictures[0] & pictures[1] and not turns[0] & turns[1]
    assert min(map(len, (*ids, *pictures, *turns))) > 100
