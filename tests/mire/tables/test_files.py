"""Tables as people send them, and what strangers send in their place."""

import datetime
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from mire.errors import DataError
from mire.samples import read_samples

ROWS = [["text", "label"], ["发票什么时候开", "开发票"], ["换个地址", "改地址"]]


def csv_file(folder: Path, text: str, encoding: str = "utf-8", name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def workbook(folder: Path, rows: Sequence[Sequence[Any]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(folder / "data.xlsx")
    return folder / "data.xlsx"


def seen(path: Path) -> list[tuple[str, str, str | None]]:
    return [(sample.id, sample.turns[0].text, sample.label) for sample in read_samples(path)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_every_csv_that_a_spreadsheet_writes(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = "\r\n".join(delimiter.join(row) for row in ROWS)
    assert seen(csv_file(tmp_path, text, encoding)) == [
        ("row-2", "发票什么时候开", "开发票"),
        ("row-3", "换个地址", "改地址"),
    ]


def test_a_workbook_gives_what_a_csv_gives(tmp_path: Path) -> None:
    assert seen(workbook(tmp_path, ROWS)) == seen(csv_file(tmp_path, "\n".join(map(",".join, ROWS))))


def test_cells_are_what_a_person_sees(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 5, 1)
    path = workbook(tmp_path, [["id", "text", "label"], [7, 12.0, day], [8.5, True, 2.5]])
    assert seen(path) == [("7", "12", "2024-05-01"), ("8.5", "True", "2.5")]


def test_empty_cells_and_rows(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,text,label,note\n\nNaN,a,NaN,x\n5,b\n,,,\n6, nan ,c,\n")
    samples = read_samples(path)
    assert [(s.id, s.turns[0].text, s.label, s.number) for s in samples] == [
        ("row-3", "a", None, 1),
        ("5", "b", None, 2),
        ("6", "", "c", 3),
    ]
    assert samples[0].row == {"id": "row-3", "text": "a", "label": "", "note": "x"}


def test_the_challenges_columns(tmp_path: Path) -> None:
    text = 'id,instruction,input,output,image\n7,"Picture 1: <image>\n看图",,退款页面,"[""a.png""]"\n'
    (sample,) = read_samples(csv_file(tmp_path, text))
    assert (sample.id, sample.prompt.text, sample.label) == ("7", "Picture 1: <image>\n看图", "退款页面")
    assert sample.row["image"] == ["a.png"]


def test_pictures_with_and_without_text(tmp_path: Path) -> None:
    text = "截图,说明文字,text\na.png,x,\na.png;b.png,x,看\na.png;b.png,,\n"
    found = [sample.prompt.text for sample in read_samples(csv_file(tmp_path, text))]
    assert [prompt.count("<image>") for prompt in found] == [1, 2, 2]
    assert found[0].startswith("Picture 1: <image>\n") and "用户: <image><image>看\n" in found[1]


def test_json_with_names_of_ones_own(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '{"text": "换个地址", "intent": "改地址"}\n{"text": 5}\n', name="data.jsonl")
    assert seen(path) == [("row-1", "换个地址", "改地址"), ("row-2", "5", None)]


def test_a_pipe_has_no_name(tmp_path: Path) -> None:
    assert len(seen(csv_file(tmp_path, "text\na\nb\n", name="data"))) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\na,b,c\n", "row 2: 3 cells, the header has 2; quote a text that holds the separator"),
        ('text\na\n"b\n', "row 3 is not valid CSV: unexpected end of data"),
        (f"text\na\n{'b' * 200_000}\n", "row 3 is not valid CSV: field larger than field limit"),
        ("text,,label\n1,2,3\n", "column 2 of the first row has no name"),
        ("text,Text\n1,2\n", "the columns must have different names, 'text' stands twice"),
        ("id,text\n1,a\n1,b\n", "record 2: ids must be unique, '1' is also record 1"),
        ("spalte\na\n", "data.csv: no column holds text or pictures; its columns are spalte"),
        ("", "holds no sample"),
        ("text,label\n", "holds no sample"),
    ],
)
def test_faults_name_the_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_samples(csv_file(tmp_path, text))


def test_neither_utf8_nor_gbk(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"text\n\xff\xff\n")
    with pytest.raises(DataError, match=r"neither UTF-8 nor GB18030 \(GBK\); save it as CSV UTF-8"):
        read_samples(path)


def test_a_formula_counts_as_its_value_and_without_one_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["text"], ["a"], ["=A2"]])
    with pytest.raises(DataError, match="row 3: the formula '=A2' has no value; open the file in a spreadsheet"):
        read_samples(path)
    with zipfile.ZipFile(path) as book:
        members = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert b"<f>A2</f><v />" in members[sheet]
    members[sheet] = members[sheet].replace(b"<f>A2</f><v />", b"<f>A2</f><v>5</v>")
    _pack(path, members)
    assert seen(path)[1] == ("row-3", "5", None)


def _pack(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in members.items():
            book.writestr(name, content)


def test_broken_workbooks(tmp_path: Path) -> None:
    path = workbook(tmp_path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    with pytest.raises(DataError, match="data.xlsx is not an XLSX file: File is not a zip file"):
        read_samples(path)
    _pack(path, {"a.png": b"x"})
    with pytest.raises(DataError, match="data.xlsx cannot be read as XLSX: "):
        read_samples(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0 old")
    with pytest.raises(DataError, match=r"is an old Excel workbook \(.xls\); save it as .xlsx or .csv"):
        read_samples(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path, ROWS)
    monkeypatch.setattr("mire.tables.workbook.MAX_BYTES", 2**20)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/bomb.xml", bytes(2**20))
    assert path.stat().st_size < 2**14
    with pytest.raises(DataError, match="at most 1048576 are read; save its table as CSV"):
        read_samples(path)


@pytest.mark.slow
def test_a_small_file_of_endless_rows_ends(tmp_path: Path) -> None:
    path = workbook(tmp_path, ROWS)
    with zipfile.ZipFile(path) as book:
        members = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = (
        members[sheet].replace(b'<row r="3"', b'<row r="999999999999"').replace(b'"A3"', b'"A999999999999"')
    )
    members[sheet] = members[sheet].replace(b'"B3"', b'"B999999999999"')
    _pack(path, members)
    assert len(read_samples(path)) == 1
