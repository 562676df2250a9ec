import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from records import dialogue_instruction, image_instruction

from mire.errors import DataError
from mire.images import NO_PICTURE
from mire.prompts import Turn
from mire.samples import read_samples

Write = Callable[[object], Path]


def record(**changes: object) -> dict[str, object]:
    return {
        "id": "a1",
        "instruction": image_instruction(),
        "input": "",
        "output": "店铺页面",
        "image": ["a.png"],
    } | changes


def test_official_json(write_json: Write, tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (sample,) = read_samples(write_json([record()]), tmp_path)
    assert (sample.id, sample.label, sample.turns, sample.problems) == ("a1", "店铺页面", (), ())
    assert sample.images == (tmp_path / "a.png",)
    assert sample.row["input"] == ""


def test_dialogue_turns_keep_their_images_in_place(write_json: Write) -> None:
    text = dialogue_instruction("用户: <image>", "客服: 您好", "用户: 会生锈吗")
    (sample,) = read_samples(write_json([record(instruction=text, image=["a.png"])]))
    assert sample.turns == (Turn("user", "<image>"), Turn("agent", "您好"), Turn("user", "会生锈吗"))


def test_jsonl_and_bom(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = [json.dumps(record(id=name), ensure_ascii=False) for name in ("a", "b")]
    path.write_text("\ufeff" + "\n".join(lines) + "\n\n", encoding="utf-8")
    assert [sample.id for sample in read_samples(path)] == ["a", "b"]


@pytest.mark.parametrize("key", ["messages", "conversations"])
def test_sharegpt(write_json: Write, key: str) -> None:
    role, content, names = {
        "messages": ("role", "content", ("user", "assistant")),
        "conversations": ("from", "value", ("human", "gpt")),
    }[key]
    said = zip(names, (image_instruction(), "店铺页面"), strict=True)
    shared = {"id": 7, key: [{role: who, content: what} for who, what in said], "images": ["a.png"]}
    (sample,) = read_samples(write_json([shared]))
    assert (sample.id, sample.label, sample.prompt.text) == ("7", "店铺页面", image_instruction())


def test_an_input_follows_the_instruction_on_a_line_of_its_own(write_json: Write) -> None:
    (sample,) = read_samples(write_json([record(instruction="看图", input="图", image=[])]))
    assert sample.prompt.text == "看图\n图"


def test_missing_pictures_and_wrong_tag_counts_are_problems_not_errors(write_json: Write, tmp_path: Path) -> None:
    (sample,) = read_samples(write_json([record(image=["no.png", "no2.png"])]), tmp_path)
    assert sample.problems == (
        "picture 'no.png' is missing",
        "picture 'no2.png' is missing",
        "1 <image> tags but 2 pictures",
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([record(), record()], "record 2: ids must be unique, 'a1' is also record 1"),
        ([record(id="")], "record 1: 'id' must be a non-empty string, got ''"),
        ([{"id": "a", "prompt": "x"}], r"missing 'instruction' \(the official columns are id, instruction"),
        ([{"id": "a", "instruction": "Picture 1: <image>", "file": "a.png"}], "missing 'image'"),
        ([record(output=5)], "'output' must be a string, got int"),
        ([record(image=[1])], "'image' must be a list of file names"),
        ([[1]], "a record must be an object, got list"),
        ([{"id": "a", "messages": [{"role": "user", "content": "x"}] * 2}], "one user message and at most one answer"),
        ([{"id": "a", "messages": [{"role": "tool", "content": "x"}]}], "got 'tool'"),
        ([], "holds no sample"),
    ],
)
def test_faults_name_the_record_and_the_rule(write_json: Write, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_samples(write_json(value))


def test_all_faults_come_at_once(write_json: Write) -> None:
    with pytest.raises(DataError, match=r"2 faults\n  record 1: .*\n  record 3: "):
        read_samples(write_json([record(id=""), record(), record(id=None)]))


def test_broken_json_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('[{"id": "a" "b"}]')
    with pytest.raises(DataError, match=r"bad.json is not valid JSON: .* \(line 1, column 13\)"):
        read_samples(path)


def test_wrong_encoding(tmp_path: Path) -> None:
    path = tmp_path / "gbk.json"
    path.write_bytes('[{"id": "店"}]'.encode("gbk"))
    with pytest.raises(DataError, match="must be UTF-8: .* at byte 9"):
        read_samples(path)


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "/etc/passwd",
        "http://x/a.png",
        "\\\\host\\share\\a.png",
        "x/../../a.png",
        "a\0.png",
        "link.png",
    ],
)
def test_pictures_stay_inside_the_folder(write_json: Write, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (folder / "link.png").symlink_to(tmp_path / "a.png")
    (sample,) = read_samples(write_json([record(image=[name])]), folder)
    assert sample.images == (NO_PICTURE,)
    assert sample.problems[0].endswith("does not lie inside the picture folder")


def test_a_missing_picture_folder(write_json: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the picture folder .* is not a folder; pass the right one with --images"):
        read_samples(write_json([record()]), tmp_path / "none")
