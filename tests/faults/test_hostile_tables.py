"""Tables that a stranger sends: few bytes that would cost minutes or gigabytes are refused, in one line and at once."""

import json
import os
import re
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mire.errors import DataError, SettingsError
from mire.labels import load_taxonomy
from mire.samples import read_samples
from mire.tables.files import table_rows
from mire.tables.workbook import workbook_rows

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAX_SECONDS = 2.0
"""Of this process: each file below took many times as much, or would have, were it as large as a file may be."""


def book(folder: Path, rows: str, *, sheets: str = "", styles: str = "", strings: str = "", before: str = "") -> Path:
    """A workbook as small as one can be, from pieces of XML."""
    links = "".join(
        f'<Relationship Id="{kind}" Type="{KINDS}/{kind}" Target="{kind}.xml"/>'
        for kind in ("worksheet", "styles", "sharedStrings")
    )
    parts = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships><Relationship Id="a" Type="{KINDS}/officeDocument" Target="/xl/workbook.xml"/>'
        "</Relationships>",
        "xl/_rels/workbook.xml.rels": f"<Relationships>{links}</Relationships>",
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{KINDS}"><sheets>'
        f'<sheet name="a" sheetId="1" r:id="worksheet"/>{sheets}</sheets></workbook>',
        "xl/worksheet.xml": f"{before}<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>",
        "xl/styles.xml": f"<styleSheet {MAIN}>{styles}</styleSheet>",
        "xl/sharedStrings.xml": f"<sst {MAIN}>{strings}</sst>",
    }
    with zipfile.ZipFile(folder / "data.xlsx", "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    return folder / "data.xlsx"


def cell(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


ROWS = f"<row>{cell('text')}</row><row>{cell('发票')}</row>"


@contextmanager
def cheap() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < MAX_SECONDS


def test_what_is_not_read_costs_nothing(tmp_path: Path) -> None:
    styles = f"<cellXfs>{'<xf/>' * 20_000}</cellXfs><fonts>{'<font/>' * 20_000}</fonts>"
    sheets = '<sheet name="b" sheetId="2" r:id="worksheet"/>' * 500
    with cheap():
        assert list(table_rows(book(tmp_path, ROWS, styles=styles, sheets=sheets))) == [(1, ["text"]), (2, ["发票"])]


def test_one_long_formula_is_not_taken_apart_for_each_of_its_cells(tmp_path: Path) -> None:
    first = (
        f'<row>{cell("text")}</row><row><c><f t="shared" si="0" ref="A2:A999">{"A1+" * 5_000}A1</f><v>1</v></c></row>'
    )
    others = '<row><c><f t="shared" si="0"/><v>1</v></c></row>' * 500
    with cheap():
        assert len(list(table_rows(book(tmp_path, first + others)))) == 502


@pytest.mark.parametrize(
    ("rows", "before", "message"),
    [
        (f"<row>{'<c/>' * 100_000}</row>", "", "row 1: 1001 columns, at most 1000 are read"),
        ('<row><c r="XFD1"/></row>', "", "row 1: 16384 columns, at most 1000 are read"),
        ("<a>" * 30_000, "", "worksheet.xml has elements that are too deep or too long"),
        (
            f"<row {' '.join(f'a{n}=_' for n in range(200_000))}/>".replace("_", '""'),
            "",
            "has elements that are too deep or too long",
        ),
        (ROWS, '<!DOCTYPE a [<!ENTITY b "c">]>', "worksheet.xml has a DOCTYPE, which no spreadsheet writes"),
        (ROWS, '<!DOCTYPE a SYSTEM "file:///etc/passwd">', "worksheet.xml has a DOCTYPE, which no spreadsheet writes"),
        ('<row><c t="s"><v>7</v></c></row>', "", "cannot be read as XLSX: list index out of range"),
        (f"<row><c><v>{'1' * 5_000}</v></c></row>", "", "cannot be read as XLSX: Exceeds the limit"),
        ('<row><c t="b"><v>x</v></c></row>', "", "cannot be read as XLSX: invalid literal for int"),
        ("<row><c></row>", "", "cannot be read as XLSX: mismatched tag"),
    ],
)
def test_odd_sheets_are_refused_in_one_line(tmp_path: Path, rows: str, before: str, message: str) -> None:
    with cheap(), pytest.raises(DataError, match=message):
        list(table_rows(book(tmp_path, rows, before=before)))


def test_a_list_of_very_many_members_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mire.plain_files.MAX_LIST_BYTES", 100)
    with pytest.raises(DataError, match="data.xlsx is not an XLSX file: its list of files takes .* bytes"):
        list(table_rows(book(tmp_path, ROWS)))


def test_what_a_spreadsheet_writes_beside_plain_texts(tmp_path: Path) -> None:
    """Texts in pieces and with readings, dates by both calendars' styles, cells and rows that are left out."""
    strings = "<si><r><t>发</t></r><r><t>票</t></r><rPh><t>fa</t></rPh></si><si><t>a_x005F_b</t></si><si/>"
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="[h]:mm"/><numFmt numFmtId="171" formatCode="0.0"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/></cellXfs>'
    )
    rows = (
        '<row r="2"><c r="B2" t="s"><v>0</v></c><c t="s"><v>1</v></c><c r="E2" t="s"><v>2</v></c></row>'
        '<row r="5"><c s="1"><v>45413</v></c><c s="2"><v>1.5</v></c><c s="3"><v>45413</v></c><c s="1"><v>1e99</v></c>'
        '<c t="d"><v>2024-05-01T08:30:00</v></c><c t="e"><v>#N/A</v></c><c t="b"><v>1</v></c></row>'
    )
    assert list(workbook_rows(book(tmp_path, rows, styles=styles, strings=strings))) == [
        (2, ["", "发票", "a_b", "", ""]),
        (5, ["2024-05-01", "1 day, 12:00:00", "45413", "#VALUE!", "2024-05-01 08:30:00", "#N/A", "True"]),
    ]


def test_a_header_of_very_many_columns(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(",".join(f"a{number}" for number in range(20_000)) + "\n", encoding="utf-8")
    with cheap(), pytest.raises(DataError, match="20000 columns, at most 1000 are read"):
        list(table_rows(path))


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("[" * 20_000, r"picture .\[\[\[\[.* cannot be read: File name too long"),
        ("a;" * 65, "a sample may name 64 pictures, got 65"),
        ("../../etc/passwd", "does not lie inside the picture folder"),
        ("/etc/passwd", "does not lie inside the picture folder"),
        ("file:///etc/passwd", "does not lie inside the picture folder"),
        ("http://127.0.0.1/a.png", "does not lie inside the picture folder"),
        ("pipe", "picture 'pipe' is missing"),
    ],
)
def test_pictures_names(tmp_path: Path, cell: str, problem: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "data.csv").write_text(f"text,image\na,{cell}\n", encoding="utf-8")
    try:
        (said,) = read_samples(tmp_path / "data.csv", tmp_path)[0].problems[:1]
    except DataError as error:
        said = str(error)
    assert re.search(problem, said), said


def test_an_object_of_very_many_keys_and_one_twice(tmp_path: Path) -> None:
    pairs = ",".join([*(f'"{number}":0' for number in range(20_000)), '"x":0,"x":1'])
    (tmp_path / "data.json").write_text(f"[{{{pairs}}}]", encoding="utf-8")
    with cheap(), pytest.raises(DataError, match="the key 'x' stands twice in the object"):
        read_samples(tmp_path / "data.json")


def test_names_of_labels_are_compared_once(tmp_path: Path) -> None:
    labels = [{"name": str(number)} for number in range(2_001)]
    (tmp_path / "image.json").write_text(json.dumps({"task": "image", "labels": labels}))
    with pytest.raises(SettingsError, match="a taxonomy may have 2000 labels, got 2001"):
        load_taxonomy(tmp_path / "image.json")
