"""Records as other tools write them: LLaVA's, LLaMA-Factory's, pandas'; what is not read of one is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from records import dialogue_instruction, image_instruction

from ensemble.prediction.submission import SubmissionLine, guarded, read_submission, write_lines, write_submission
from ensemble.prediction.workload import Workload
from mire.samples import Sample, read_samples


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (30, 30), "red").save(folder / name)
    return folder


def read(images: Path, *records: dict[str, Any]) -> list[Sample]:
    path = images.parent / "data.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return read_samples(path, images)


ASKED = image_instruction()
CHAT = [{"from": "human", "value": ASKED}, {"from": "gpt", "value": "支付页面"}]
MESSAGES = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "支付页面"}]


@pytest.mark.parametrize(
    "record",
    [
        {"image": "a.png", "conversations": CHAT},
        {"image": ["a.png"], "conversations": CHAT},
        {"images": ["a.png"], "conversations": CHAT},
        {"image": "a.png", "messages": MESSAGES},
        {"images": "a.png", "messages": MESSAGES},
        {"instruction": ASKED, "output": "支付页面", "images": ["a.png"]},
        {"instruction": ASKED, "output": "支付页面", "image": None, "images": ["a.png"]},
        {"instruction": "", "input": ASKED, "output": "支付页面", "images": ["a.png"]},
        {"instruction": ASKED.replace("<image>", ""), "input": "<image>", "output": "支付页面", "image": ["a.png"]},
    ],
)
def test_the_picture_and_the_label_are_found(images: Path, record: dict[str, Any]) -> None:
    (sample,) = read(images, {"id": "x", **record})
    assert (sample.images, sample.label, sample.problems) == ((images / "a.png",), "支付页面", ())


def test_a_chat_without_id_is_numbered_by_its_place(images: Path) -> None:
    chat = {"image": "a.png", "conversations": CHAT}
    samples = read(
        images, chat, {"id": "mine", **chat}, {"id": None, **chat}, {"messages": MESSAGES, "images": "b.png"}
    )
    assert [sample.id for sample in samples] == ["row-1", "mine", "row-3", "row-4"]
    with Workload.read(images.parent / "data.json", images, max_decoded_pixels=10_000) as work:
        assert {sample.id for chunk in work.chunks("p") for sample in chunk.samples} == {
            sample.id for sample in samples
        }


@pytest.mark.parametrize("cell", ["NaN", "null"])
def test_empty_cells_of_pandas_are_empty(images: Path, cell: str) -> None:
    path = images.parent / "data.json"
    instruction = json.dumps(dialogue_instruction("用户: 会生锈吗"))
    path.write_text(
        f'[{{"id": "n", "instruction": {instruction}, "input": {cell}, "output": {cell}, "image": {cell}, '
        f'"score": {cell}}}]'
    )
    (sample,) = read_samples(path, images)
    assert (sample.label, sample.images, sample.problems) == (None, (), ())
    write_submission(images.parent / "s.csv", [sample], {"n": "是否会生锈"})
    assert (images.parent / "s.csv").read_text(encoding="utf-8").endswith('",,,,,是否会生锈\n')


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"history": [["会生锈吗", "不会"]]}, "the record's 'history' is not read: a dialogue stands in its prompt"),
        ({"instruction": "Picture 1: <img>a.png</img>\n哪个页面？"}, "an <img> tag is not read: a picture is <image>"),
        ({"image": ["a.png"]}, "0 <image> tags but 1 pictures"),
    ],
)
def test_what_is_not_read_is_named(images: Path, changes: dict[str, Any], problem: str) -> None:
    (sample,) = read(images, {"id": "x", "instruction": "判断用户的意图", "image": [], **changes})
    assert [line for line in sample.problems if line.startswith(problem)]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("43532070212385e4", '="43532070212385e4"'),
        ("007", '="007"'),
        ("12345678901234567890", '="12345678901234567890"'),
        ("1.50", '="1.50"'),
        ("1-2", '="1-2"'),
        ("2024-01-02", '="2024-01-02"'),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        (" =1", "' =1"),
        ("\u00a0=1", "'\u00a0=1"),
        ("\tx", "'\tx"),
        ("\n=1", "'\n=1"),
        ("\r=1", "'\r=1"),
        ("＝1+1", "'＝1+1"),
        ("12", "12"),
        ("0", "0"),
        ("-5", "-5"),
        ("a7", "a7"),
        ("1234abcd", "1234abcd"),
        ("会生锈", "会生锈"),
    ],
)
def test_a_spreadsheet_shows_what_was_written(cell: str, shown: str) -> None:
    assert guarded(cell) == shown


def test_rows_that_a_spreadsheet_would_change_are_counted(images: Path, caplog: pytest.LogCaptureFixture) -> None:
    texts = {"a1": "x", "007": "x", "1e5": "x", "a2": "@SUM(A1)", "a3": "-5", "a4": "1e5"}
    samples = read(images, *({"id": key, "instruction": text} for key, text in texts.items()))
    write_submission(images.parent / "s.csv", samples, {sample.id: "x" for sample in samples})
    (line,) = caplog.messages
    assert line.startswith("3 rows hold what a spreadsheet would change or run as a formula (first: '007')")
    assert read_submission(images.parent / "s.csv").keys() == texts.keys()


def test_names_of_columns_are_guarded_too_and_a_carriage_return_in_one_ends_no_row(tmp_path: Path) -> None:
    record = {"id": "1", "=cmd|' /C calc'!A0": "x", "a\r=1": "y"}
    for guard, head in ((False, '"id","=cmd|\' /C calc\'!A0"'), (True, '"id","\'=cmd|\' /C calc\'!A0"')):
        lines = [SubmissionLine("1", record, "x")]
        write_lines(tmp_path / "s.csv", lines, record, encoding="utf-8", for_excel=guard)
        assert (tmp_path / "s.csv").read_bytes().decode() == f'{head},"a\r=1","predict"\n1,x,y,x\n'
