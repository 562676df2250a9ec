from pathlib import Path

import openpyxl
import pytest

from ensemble.labels import __main__ as labels
from ensemble.labels.from_names import alike, make_configuration, read_labels
from mire.cli import run
from mire.errors import DataError, SettingsError
from mire.labels import Label, load_taxonomy
from mire.samples import read_samples
from mire.settings import load_settings

LIST = "名称,描述,英文,示例,例句2\n开发票,用户要发票,Invoice,发票呢|能开票吗,抬头\n改地址,要修改地址,,,\n"


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text(LIST, encoding="utf-8-sig")
    return Path("labels.csv")


def test_a_list_becomes_a_taxonomy_a_configuration_and_samples(
    listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(labels, ["--task", "dialogue", "--from", str(listed), "--out", "mine"]) == 0
    said = capsys.readouterr().err
    assert "2 labels in mine/dialogue.json, the configuration in mine/config.yaml" in said
    assert "3 examples; next: mire train dialogue --config mine/config.yaml --data mine/examples.csv" in said
    first = load_taxonomy(Path("mine/dialogue.json")).entries[0]
    assert (first.name, first.description, first.gloss) == ("开发票", "用户要发票", "Invoice")
    settings = load_settings("mine/config.yaml")
    assert settings.taxonomy("dialogue").labels == ("开发票", "改地址")
    assert settings.panel.dialogue == ("dialogue_text", "text_embedding")
    found = [(sample.turns[0].text, sample.label) for sample in read_samples(Path("mine/examples.csv"))]
    assert found == [("发票呢", "开发票"), ("能开票吗", "开发票"), ("抬头", "开发票")]


def test_the_other_task_joins_the_configuration_and_edits_stay(listed: Path) -> None:
    list(make_configuration(listed, "dialogue", Path("mine")))
    config = Path("mine/config.yaml")
    config.write_text(config.read_text(encoding="utf-8") + "folds: 3\n", encoding="utf-8")
    list(make_configuration(listed, "image", Path("mine")))
    settings = load_settings(str(config))
    assert (settings.folds, settings.taxonomies.dialogue, settings.taxonomies.image) == (
        3,
        Path("mine/dialogue.json"),
        Path("mine/image.json"),
    )
    assert read_samples(Path("mine/examples.csv"))[0].prompt.n_images == 1


def test_the_configuration_works_from_any_folder(listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(make_configuration(listed, "dialogue", Path("mine")))
    monkeypatch.chdir("/")
    assert load_settings(str(tmp_path / "mine/config.yaml")).taxonomy("dialogue").labels == ("开发票", "改地址")


def test_a_plain_list_and_a_workbook(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("开发票\n改地址,要改地址\n", encoding="utf-8")
    found = [each.label for each in read_labels(tmp_path / "plain.txt")]
    assert found == [Label(name="开发票"), Label(name="改地址", description="要改地址")]
    book = openpyxl.Workbook()
    for row in (["Label", "Definition"], ["invoice", "asks for an invoice"]):
        book.active.append(row)
    book.save(tmp_path / "labels.xlsx")
    assert read_labels(tmp_path / "labels.xlsx")[0].label == Label(name="invoice", description="asks for an invoice")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", DataError, "holds no label"),
        ("name,description\n,x\n", DataError, "row 2: a label needs a name"),
        ("name,label\na,b\n", DataError, "row 2: two columns hold the name, "),
        ("name\na\na\n", SettingsError, "label names must be unique, a occur more than once"),
        ("name\na\n", SettingsError, "a taxonomy needs at least two live labels"),
    ],
)
def test_what_is_no_list_of_labels(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        list(make_configuration(tmp_path / "labels.csv", "dialogue", tmp_path / "mine"))


def test_descriptions_that_are_too_alike_are_named() -> None:
    said = alike(
        [
            Label(name="开发票", description="用户要发票，问发票什么时候开"),
            Label(name="补发票", description="用户要发票，问发票什么时候补"),
            Label(name="改地址", description="要修改收货地址"),
        ]
    )
    assert [pair[:2] for pair in said] == [("开发票", "补发票")]


def test_no_list_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(labels, ["--task", "image"])
    assert "name the list of labels with --from and a folder with --out" in capsys.readouterr().err
