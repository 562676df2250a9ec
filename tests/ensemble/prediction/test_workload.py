import json
from pathlib import Path
from typing import Any

import pytest
from records import dialogue_instruction, image_instruction

from ensemble.prediction.workload import CHUNK, Workload
from mire.errors import DataError


def record(name: str, task: str = "dialogue", **more: Any) -> dict[str, Any]:
    text = dialogue_instruction("用户: 会生锈吗") if task == "dialogue" else image_instruction()
    return {"id": name, "instruction": text, "image": [] if task == "dialogue" else ["no.png"], **more}


def lines(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_chunks_are_cut_by_task_in_the_order_of_the_ids(tmp_path: Path) -> None:
    names = [f"{number * 7 % 300:03d}" for number in range(300)]
    data = lines(tmp_path, *(record(name) for name in names), record("001x", "image"))
    with Workload.read(data, tmp_path, max_decoded_pixels=1) as work:
        chunks = [[sample.id for sample in chunk.samples] for chunk in work.chunks("p")]
        assert (work.tasks, len(work)) == (("image", "dialogue"), 301)
    assert chunks[0] == ["001x"]
    assert [len(chunk) for chunk in chunks[1:]] == [CHUNK, CHUNK, 300 - 2 * CHUNK]
    assert [name for chunk in chunks[1:] for name in chunk] == sorted(names)


def test_a_sample_comes_back_as_it_was_read(tmp_path: Path) -> None:
    data = lines(tmp_path, record("b", note={"x": [1, "\ud800"]}), record("a", "image"))
    with Workload.read(data, tmp_path, max_decoded_pixels=1) as work:
        (image,), (dialogue,) = (chunk.samples for chunk in work.chunks("p"))
        ((first, second),) = work.rows("p")
        assert list(work.columns) == ["id", "instruction", "image", "note"]
        assert work.faults() == ["record 2, id 'a': picture 'no.png' is missing"]
    assert (image.id, image.problems, image.prompt.text) == ("a", ("picture 'no.png' is missing",), image_instruction())
    assert (dialogue.turns[0].text, dialogue.images) == ("会生锈吗", ())
    assert (first.id, first.record, second.id) == ("b", record("b", note={"x": [1, "\ud800"]}), "a")


def test_fingerprints_depend_on_the_panel_and_on_what_is_seen(tmp_path: Path) -> None:
    data = lines(tmp_path, record("a"), record("b"), record("c", instruction="判断"))
    with Workload.read(data, tmp_path, max_decoded_pixels=1) as work:
        (one,), (other,) = list(work.fingerprints("p")), list(work.fingerprints("q"))
        assert {row.id: row.fingerprint for rows in work.rows("p") for row in rows} == one
        assert {key: value for chunk in work.chunks("p") for key, value in chunk.fingerprints.items()} == one
    assert one["a"] == one["b"] != one["c"]
    assert not set(one.values()) & set(other.values())


def test_all_faults_are_named_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    data = lines(tmp_path, record("a"), record(""), record("a"))
    expected = "(?s)2 faults.*record 2: 'id' must be a non-empty.*record 3: ids must be unique, 'a' is also record 1"
    with (
        pytest.raises(DataError, match=expected),
        Workload.read(data, tmp_path, max_decoded_pixels=1),
    ):
        pass
    assert list(tmp_path.iterdir()) == [data]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="holds no sample"),
        Workload.read(lines(tmp_path), tmp_path, max_decoded_pixels=1),
    ):
        pass
