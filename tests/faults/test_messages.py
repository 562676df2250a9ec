"""Messages stay short whatever a file holds, JSON stays JSON on any terminal, and a closed pipe is no error."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from records import dialogue_instruction, image_instruction

from mire import validate
from mire.cli import print_json, run
from mire.errors import printable, quoted

LONG = "9" * 1_000_000
RECORDS: dict[str, list[Any]] = {
    "names that are bytes": [{"id": "a", "instruction": "x", "image": [{"bytes": LONG}]}] * 12,
    "a name that is an object": [{"id": "a", "instruction": "x", "image": {"path": LONG}}],
    "a long id": [{"id": LONG, "instruction": 5}],
    "a long id twice": [{"id": LONG, "instruction": "x"}] * 2,
    "an id with a line break": [{"id": f"\n{LONG}", "instruction": "x"}],
    "an id that is a list": [{"id": [LONG], "instruction": "x"}],
    "a long key": [{"id": "a", LONG: 1}],
    "many keys": [{"id": "a"} | {f"key {number}": 1 for number in range(10_000)}],
    "a long role": [{"id": "a", "messages": [{"role": LONG, "content": "x"}]}],
    "many faults": [{"id": str(number)} for number in range(10_000)],
}


def written(folder: Path, value: object) -> Path:
    path = folder / "data.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", RECORDS)
def test_an_error_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    from router import route

    assert run(route, ["--data", str(written(tmp_path, RECORDS[name]))]) == 1
    said = capsys.readouterr().err
    assert len(said) < 6000
    assert len(said.splitlines()) <= 22
    assert name != "many faults" or "and 9980 more" in said


@pytest.mark.parametrize(
    "text",
    ['[{"id": "a", "instruction": "x", "id": "b"}]', '{"id": "a", "id": "a"}\n', f'[{{"{LONG}": 1, "{LONG}": 2}}]'],
    ids=["an array", "lines", "a long key"],
)
def test_a_key_that_stands_twice_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert run(validate, ["--data", str(written(tmp_path, text)), "--images", str(tmp_path)]) == 1
    seen = capsys.readouterr()
    assert "stands twice in the object" in seen.out + seen.err
    assert len(seen.out + seen.err) < 1000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("images/a.png", "picture 'images/a.png' is missing; 'a.png' is there: names count from the picture folder"),
        (
            "images\\a.png",
            "picture 'images\\\\a.png' is missing; 'a.png' is there: names count from the picture folder",
        ),
        ("images/b.png", "picture 'images/b.png' is missing"),
        ("a" * 200, f"picture '{'a' * 79}... is missing"),
    ],
)
def test_a_missing_picture_is_named_as_it_was_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    data = written(tmp_path, [{"id": "x", "instruction": image_instruction(), "image": [name]}])
    assert run(validate, ["--data", str(data), "--images", str(tmp_path)]) == 1
    assert f"record 1, id 'x': {words}\n" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["x", b"x" * 10**7, "锈" * 10**6, [1] * 1000, {"a": LONG}])
def test_a_quoted_value_has_80_characters_at_most(value: object) -> None:
    assert len(quoted(value)) <= 83


def test_a_record_that_is_quoted_is_masked() -> None:
    assert quoted({"instruction": "打13812345678"}) == "{'instruction': '打[phone]'}"
    assert quoted("20240105123456") == "'20240105123456'"  # an id or a file's name must be found again


ODD = "\x1b]0;x\x07\x9b31m\u202e\u2028\r\nerror: forged"
ODD_RECORDS: dict[str, Any] = {
    "an id": {"id": ODD, "instruction": "x"},
    "a key": {"id": "a", ODD: 1},
    "a file name": {"id": "a", "instruction": image_instruction(), "image": [f"{ODD}.png"]},
    "a label": {"id": "a", "instruction": dialogue_instruction("用户: 会生锈吗"), "output": ODD},
    "a role": {"id": "a", "messages": [{"role": ODD, "content": "x"}]},
    "a key twice": f'{{"id": "a", {json.dumps(ODD)}: 1, {json.dumps(ODD)}: 2}}',
}


@pytest.mark.parametrize("name", ODD_RECORDS)
def test_nothing_in_a_file_controls_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    record = ODD_RECORDS[name]
    data = written(tmp_path, record if isinstance(record, str) else [record])
    assert run(validate, ["--data", str(data), "--images", str(tmp_path)]) == 1
    seen = capsys.readouterr()
    assert printable((seen.out + seen.err).replace("\n", "")) == (seen.out + seen.err).replace("\n", "")
    assert not [line for line in (seen.out + seen.err).splitlines() if line.startswith("error: forged")]


def test_log_lines_json_and_usage_control_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("mire.odd").info("a\x1b[2J\x9b")
    print_json({"id": "\x1b\x9b\u202e"})
    with pytest.raises(SystemExit):
        run(validate, ["--\x1b[2J"])
    seen = capsys.readouterr()
    assert json.loads(seen.out) == {"id": "\x1b\x9b\u202e"}
    assert seen.err.startswith("a\\u001b[2J\\u009b\n")
    assert "\x1b" not in seen.out + seen.err and "\x9b" not in seen.out + seen.err


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(Path.cwd())}


@pytest.mark.parametrize("text", ["é", "😀", "锈\ud800"])
@pytest.mark.parametrize(
    "extra", [ASCII, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "gbk"}, {"PYTHONUTF8": "1"}]
)
def test_json_is_json_in_every_encoding(text: str, extra: dict[str, str]) -> None:
    code = f"from mire.cli import _escape_unknown, print_json; _escape_unknown(); print_json({{'id': {text!a}}})"
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), **extra}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    encoding = extra.get("PYTHONIOENCODING", "ascii" if extra is ASCII else "utf-8")
    assert json.loads(done.stdout.decode(encoding)) == {"id": text}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["route", "validate", "score"])
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, command: str) -> None:
    record = {"instruction": dialogue_instruction("用户: 会生锈吗"), "input": "", "output": "是否会生锈", "image": []}
    data = written(tmp_path, [{"id": str(number), **record} for number in range(3000)])
    (tmp_path / "s.csv").write_text("id,predict\n" + "".join(f"{number},x\n" for number in range(3000)))
    given = {
        "route": ["router.route", "--data", str(data)],
        "validate": ["mire.validate", "--data", str(data), "--images", str(tmp_path)],
        "score": ["ensemble.score", "--truth", str(data), "--submission", str(tmp_path / "s.csv")],
    }[command]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", *given], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=100, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_behind_standard_output_is_an_error(tmp_path: Path) -> None:
    data = written(tmp_path, [{"id": "a", "instruction": "判断用户的意图"}])
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mire.validate", "--data", str(data), "--images", str(tmp_path)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("error: ")
