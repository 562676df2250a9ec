import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from records import image_instruction

from experts.screen_text.features import (
    group_features,
    layout,
    layout_names,
    normalise,
    phrase_features,
    phrase_groups,
    phrases,
    zone_texts,
)
from experts.screen_text.model import ScreenTextModel
from experts.screen_text.pixels import pixel_features, pixel_names
from experts.screen_text.reader import Box, Reader, ReaderSettings, Reading
from experts.screen_text.voter import ScreenTextVoter
from mire.cache import BlobCache
from mire.errors import PanelError
from mire.images import content_hash
from mire.labels import Label, Taxonomy, builtin_taxonomy
from mire.model_sizes import count_ocr
from mire.process_pool import ProcessPool
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import ScreenText, ScreenTrees

LABELS = ("购物车", "退款", "店铺")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))


def line(text: str, y: float, *, height: float = 0.02, x: float = 0.1, width: float = 0.4) -> Box:
    return Box(text, 0.9, x, y - height / 2, x + width, y + height / 2)


def reading(*boxes: Box, brightness: float = 0.5) -> Reading:
    return Reading(600, 1280, boxes, tuple([brightness] * len(pixel_names())))


def training_set() -> tuple[list[Reading], list[str]]:
    cart = [reading(line("购物车", 0.08), line(f"合计¥{n}", 0.92), line("结算", 0.93)) for n in range(8)]
    refund = [reading(line("退款详情", 0.08), line("退款成功", 0.2), line(f"¥{n}.00", 0.3)) for n in range(8)]
    return cart + refund, ["购物车"] * 8 + ["退款"] * 8


def trained() -> ScreenTextModel:
    return ScreenTextModel(LABELS).fit(*training_set())


def test_numbers_become_marks_of_their_kind() -> None:
    assert normalise("实付 \uffe512.50 x2 Abc") == "实付 价 x0 abc"
    assert normalise("20:15:30 20240101123456 3.5") == "时 号 0"


def test_zones_by_place_and_letter_size() -> None:
    zones = zone_texts(reading(line("标题", 0.08), line("大字", 0.2, height=0.05), line("中", 0.5), line("底", 0.95)))
    assert zones == {"all": "标题 大字 中 底", "title": "标题", "bottom": "底", "large": "大字", "middle": "中"}


def test_layout_by_hand() -> None:
    boxes = (line("¥20.00", 0.1), line("12:30 券", 0.3, height=0.04), line("2024-01-02", 0.9))
    values = dict(zip(layout_names(), layout(reading(*boxes)), strict=True))
    assert (values["lines"], values["characters"]) == (3, 6 + 7 + 10)
    assert values["text area"] == pytest.approx(0.4 * (0.02 + 0.04 + 0.02))
    assert (values["prices"], values["price height"]) == (1, pytest.approx(0.1))
    assert (values["times"], values["dates"], values["coupons"]) == (1, 1, 1)
    assert values["row 0"] == values["row 2"] == values["row 7"] == pytest.approx(1 / 3)
    assert values["largest gap"] == pytest.approx(0.6)
    assert values["tallest line's y"] == pytest.approx(0.3)


def test_a_screen_without_text_has_a_layout_too() -> None:
    values = layout(reading())
    assert values.shape == (len(layout_names()),)
    assert set(values[: -len(pixel_names())]) == {0.0}


def test_phrase_features_by_hand() -> None:
    place = phrases().index("退款成功")
    found = phrase_features(reading(line("退款成功啦啦", 0.08), line("退款成功", 0.5), line("退款成功", 0.95)))
    # It fills the second line, stands in three lines, and the title bar is the best place.
    assert found[:, place].tolist() == [1.0, 3.0, 1.0]


def test_group_features_by_hand() -> None:
    found = phrase_features(reading(line("退款成功", 0.08)))
    place = list(phrase_groups()).index("退款")
    inside = [phrase for phrase in ("退款", "退款成功") if phrases().index(phrase) in phrase_groups()["退款"]]
    assert len(inside) == 2
    share, count, best = group_features(found)[:, place]
    # 退款 fills half of the line, 退款成功 all of it, in the title bar.
    assert (share, best) == (1.5, 1.0)
    assert count == pytest.approx(2 / len(phrase_groups()["退款"]) ** 0.5)


def test_pixels_of_a_plain_picture() -> None:
    values = dict(zip(pixel_names(), pixel_features(Image.new("RGB", (640, 1280), "white")), strict=True))
    assert (values["tallness"], values["width"], values["white"], values["flat rows"]) == (2.0, 0.5, 1.0, 1.0)
    assert values["middle contrast"] == values["quarter 1 edges x"] == values["hue red"] == 0.0
    assert pixel_features(Image.new("RGB", (1, 1), "red"))[0] == 1.0


def test_the_model_learns_and_never_answers_what_it_has_not_seen() -> None:
    rows = trained().probabilities([reading(line("购物车", 0.08), line("结算", 0.9)), reading(line("退款", 0.2))])
    assert rows.shape == (2, 3)
    assert rows.argmax(axis=1).tolist() == [0, 1]
    assert rows[:, 2].max() < 0.01
    assert rows.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_one_lone_sample_of_a_label_and_an_empty_screen_do_no_harm() -> None:
    readings, labels = training_set()
    model = ScreenTextModel(LABELS).fit([*readings, reading()], [*labels, "店铺"])
    assert model.probabilities([reading()])[0].sum() == pytest.approx(1.0)


def test_screens_without_any_text_are_told_apart_by_their_looks() -> None:
    readings = [reading(brightness=number % 2) for number in range(12)]
    model = ScreenTextModel(LABELS).fit(readings, [LABELS[number % 2] for number in range(12)])
    assert model.probabilities(readings[:2]).argmax(axis=1).tolist() == [0, 1]


def test_a_blank_picture_looks_less_known_than_any_screen() -> None:
    readings, _ = training_set()
    _, evidence = trained().judge([*readings, reading(brightness=1.0)])
    assert evidence is not None and evidence[-1] < 2 * evidence[:-1].min() < 0


def test_a_model_of_an_earlier_version_tells_no_evidence() -> None:
    model = trained()
    del model._parts["known"]
    rows, evidence = model.judge([reading()])
    assert evidence is None and rows.shape == (1, 3)


def test_explanations_are_words() -> None:
    words = dict(trained().explain(reading(line("购物车", 0.08), line("结算", 0.93))))
    assert any(word.startswith("about 购物车: 购物车") for word in words)
    assert not any(word.startswith("about 退款") for word in words)
    assert min(words.values()) > 0


def test_save_and_load(tmp_path: Path) -> None:
    model, asked = trained(), [reading(line("购物车", 0.08)), reading()]
    model.save(tmp_path / "m")
    loaded = ScreenTextModel.load(tmp_path / "m", ScreenText())
    for found, kept in zip(loaded.judge(asked), model.judge(asked), strict=True):
        assert found is not None and kept is not None and np.allclose(found, kept, atol=1e-12)
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"linear.skops", "trees.txt", "meta.json"}


def test_numbers_that_are_none_are_refused_but_where_no_answer_rests_on_them(tmp_path: Path) -> None:
    model = trained()
    model._parts["topics"].explained_variance_ratio_[:] = np.nan  # as of texts that are all the same
    model.save(tmp_path)
    ScreenTextModel.load(tmp_path, ScreenText())
    model._parts["topics"].components_[0, 0] = np.nan
    model.save(tmp_path)
    with pytest.raises(PanelError, match="linear.skops holds numbers that are infinite or none; copy the panel again"):
        ScreenTextModel.load(tmp_path, ScreenText())


def test_training_twice_gives_the_same_model() -> None:
    asked = [reading(line("购物车", 0.08))]
    assert np.array_equal(trained().probabilities(asked), trained().probabilities(asked))


def test_a_reading_survives_the_cache() -> None:
    whole = reading(line("购物车", 0.08))
    assert Reading.from_bytes(whole.to_bytes()) == whole
    for broken in (b"", whole.to_bytes()[:-9], b"[]", b'{"boxes": [{"text": 1}]}', b"\xff"):
        assert Reading.from_bytes(broken) is None


class FakeEngine:
    """Stands in for RapidOCR: one line at a place in pixels of the squeezed picture."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, pixels: np.ndarray) -> Any:
        self.seen.append(pixels.shape)
        height, width = pixels.shape[:2]
        corners = np.array([[0, 0], [width / 2, 0], [width / 2, height / 4], [0, height / 4]])
        return SimpleNamespace(txts=("SALE",), scores=(0.9,), boxes=[corners])


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are read here, also where an earlier test has started worker processes: a fake engine is not theirs."""
    monkeypatch.setattr("experts.screen_text.reader.workers", lambda: ProcessPool(0))


def faked(reader: Reader) -> FakeEngine:
    engine = FakeEngine()
    reader.__dict__["_engine"] = engine
    return engine


def test_a_picture_is_read_once_squeezed_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (100, 200), "red").save(path)
    reader = Reader(ReaderSettings(longest_side=100, squeeze=0.5))
    engine = faked(reader)
    read = reader.read([path, path, tmp_path / "missing.png"])
    assert list(read) == [path]
    assert (read[path].width, read[path].height) == (100, 200)
    assert read[path].boxes == (Box("SALE", 0.9, 0.0, 0.0, 0.5, 0.25),)
    assert engine.seen == [(100, 25, 3)]
    again = Reader(reader.settings)
    assert again.read([path]) == read
    assert "_engine" not in again.__dict__


def test_a_corrupt_cache_entry_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (50, 60)).save(path)
    reader = Reader()
    BlobCache(f"screen-text-{reader.settings.fingerprint}").put_many({content_hash(path): b'{"width": 50, "bo'})
    engine = faked(reader)
    assert reader.read([path])[path].boxes[0].text == "SALE"
    assert len(engine.seen) == 1


def test_settings_that_change_the_text_change_the_cache() -> None:
    assert ReaderSettings().fingerprint == ReaderSettings(threads=2).fingerprint
    assert ReaderSettings().fingerprint != ReaderSettings(squeeze=1.0).fingerprint


def test_the_voter_abstains_without_a_readable_picture(tmp_path: Path) -> None:
    paths = []
    for number, colour in enumerate(("red", "green", "blue", "black")):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (60 + number, 120), colour).save(paths[-1])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    taxonomy = Taxonomy("image", (*(Label(name=name) for name in LABELS), Label(name="旧", live=False)))
    reader = Reader()
    faked(reader)
    samples = [sample(str(number), path, LABELS[number // 2]) for number, path in enumerate(paths)]
    voter = ScreenTextVoter.train(samples, taxonomy=taxonomy, settings=ScreenText(), seed=7, reader=reader)
    votes = voter.vote([sample("x", tmp_path / "broken.png"), samples[0]])
    assert votes[0] is None
    assert votes[1] is not None
    assert (votes[1].sample_id, len(votes[1].probabilities)) == ("0", 3)
    assert (voter.cost.calls, list(voter.parameters)) == (1, ["ocr rapidocr"])
    voter.save(tmp_path / "v")
    assert ScreenTextVoter.load(tmp_path / "v", taxonomy=taxonomy, settings=ScreenText()).model.labels == LABELS
    with pytest.raises(PanelError, match="trained for other labels"):
        ScreenTextVoter.load(tmp_path / "v", taxonomy=builtin_taxonomy("image"), settings=ScreenText())
    with pytest.raises(PanelError, match="got 0 readable pictures of 1 samples"):
        ScreenTextVoter.train(
            [sample("y", tmp_path / "broken.png", "退款")],
            taxonomy=taxonomy,
            settings=ScreenText(),
            seed=7,
            reader=reader,
        )


def sample(name: str, path: Path, label: str | None = None) -> Sample:
    return Sample(id=name, prompt=parse_prompt(image_instruction()), images=(path,), label=label)


def test_rapidocr_reads_a_drawn_picture(tmp_path: Path) -> None:
    picture = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(picture).text((40, 200), "ORDER 2468", fill="black", font=ImageFont.load_default(40))
    picture.save(tmp_path / "drawn.png")
    (box,) = Reader().read([tmp_path / "drawn.png"])[tmp_path / "drawn.png"].boxes
    assert box.text.replace(" ", "") == "ORDER2468"
    assert (box.x0, box.y) == (pytest.approx(0.1, abs=0.03), pytest.approx(0.74, abs=0.05))
    assert 1_000_000 < count_ocr() < 50_000_000


@pytest.mark.slow
def test_workers_change_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(36)]
    for number, path in enumerate(paths[:-1]):
        picture = Image.new("RGB", (400, 200), "white")
        ImageDraw.Draw(picture).text((40, 90), f"ORDER {number}", fill="black", font=ImageFont.load_default(40))
        picture.save(path)
    read = {}
    for n in (0, 2):
        monkeypatch.setenv("MIRE_CACHE", str(tmp_path / str(n)))
        crew = ProcessPool(n)
        monkeypatch.setattr("experts.screen_text.reader.workers", lambda crew=crew: crew)
        read[n] = Reader().read(paths)
        assert len(crew.pids()) == n
    assert list(read[0]) == paths[:-1] and read[0] == read[2]
    assert "7" in read[0][paths[7]].boxes[0].text


def test_choices_decide_what_is_learned() -> None:
    readings, labels = training_set()
    usual = trained().probabilities(readings)
    for choice in (
        ScreenText(linear_share=1),
        ScreenText(trees=ScreenTrees(rounds=3)),
        ScreenText(grams=(1, 1), zone_grams=(1, 1)),
        ScreenText(inverse_penalty=1),
        ScreenText(text_weight=0.1),
    ):
        assert not np.allclose(
            ScreenTextModel(LABELS, settings=choice).fit(readings, labels).probabilities(readings), usual
        )


@pytest.mark.slow
def test_reading_tells_nobody_and_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    code = (
        "from PIL import Image; from experts.screen_text.reader import Reader, ReaderSettings; "
        "print(Reader(ReaderSettings()).lines(Image.new('RGB', (99, 99), 'white')))"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "()\n"), done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
