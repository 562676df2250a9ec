"""Any bytes, any records, any prompt: an answer or one of our own errors, and round trips hold."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import dialogue_instruction, image_instruction

from ensemble.prediction.submission import read_submission, write_submission
from mire.errors import DataError
from mire.labels import TASKS
from mire.prompts import DIALOGUE_END, DIALOGUE_START, OFFICIAL_DIALOGUE_HEAD, OFFICIAL_IMAGE_HEAD, parse_prompt
from mire.samples import Sample, read_samples, scan
from router.route import route, route_text

TIERS = [100, pytest.param(5_000, marks=pytest.mark.slow)]

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
FRAMES = st.sampled_from(
    ["<image>", DIALOGUE_START, DIALOGUE_END, OFFICIAL_DIALOGUE_HEAD, OFFICIAL_IMAGE_HEAD, "用户: ", "客服：", "\n",
     "user:", "<|im_end|>", "【对话开始】", "[chat ends]", "图片1", "分类标签", "气泡", "\ud800", "\0", "\u202e"]
)  # fmt: skip
PROMPTS = st.lists(st.one_of(FRAMES, ANY_TEXT), max_size=12).map("".join)

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT, PROMPTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ANY_TEXT, inner, max_size=3)),
    max_leaves=6,
)
KEYS = ("id", "instruction", "input", "output", "image", "images", "messages", "conversations")
RECORDS = st.one_of(
    VALUES,
    st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, VALUES)),
    st.fixed_dictionaries(
        {"id": st.integers(0, 3), "instruction": PROMPTS, "image": st.lists(ANY_TEXT, max_size=2)},
        optional={"output": ANY_TEXT, "input": ANY_TEXT},
    ),
)


def fuzz(n: int, strategy: Any, check: Callable[[Any], None]) -> None:
    checks = list(HealthCheck)
    settings(max_examples=n, deadline=None, suppress_health_check=checks, database=None, derandomize=True)(
        given(strategy)(check)
    )()


@pytest.fixture(scope="module")
def folder() -> Any:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "images").mkdir()
        yield Path(name)


@pytest.mark.parametrize("n", TIERS)
def test_any_records_are_read_or_refused(folder: Path, n: int) -> None:
    def check(records: list[Any]) -> None:
        (folder / "data.json").write_text(json.dumps(records), encoding="utf-8")
        try:
            samples, faults = scan(folder / "data.json", folder / "images")
        except DataError:
            return
        assert len(samples) + len(faults) >= len(records)
        assert all(is_given(sample, records) for sample in samples if "nan" not in repr(sample.row))
        for sample in samples:
            sample.prompt.text.encode()
            sample.id.encode()
            assert len(sample.images) <= 2 or sample.problems

    fuzz(n, st.lists(RECORDS, max_size=4), check)


def is_given(sample: Sample, records: list[Any]) -> bool:
    """Whether its row is a record, or one without an id that its place has given one."""
    named = ({**record, "id": f"row-{sample.number}"} for record in records if record_lacks_id(record))
    return sample.row in records or sample.row in named


def record_lacks_id(record: Any) -> bool:
    return isinstance(record, dict) and record.get("id") is None


@pytest.mark.parametrize("n", TIERS)
def test_any_bytes_are_read_or_refused(folder: Path, n: int) -> None:
    good = json.dumps(
        [{"id": "a", "instruction": image_instruction(), "image": ["a.png"]},
         {"id": "b", "instruction": dialogue_instruction("用户: 会生锈吗"), "image": []}]
    ).encode()  # fmt: skip

    def check(damage: tuple[int, int, bytes]) -> None:
        place, length, inserted = damage
        (folder / "bytes.json").write_bytes(good[:place] + inserted + good[place + length :])
        try:
            assert read_samples(folder / "bytes.json", folder / "images")
        except DataError as error:
            assert str(folder / "bytes.json") in str(error)

    damages = st.tuples(st.integers(0, len(good)), st.integers(0, len(good)), st.binary(max_size=12))
    fuzz(n, damages, check)


@pytest.mark.parametrize("n", TIERS)
def test_any_prompt_is_parsed_and_routed(n: int) -> None:
    def check(text: str) -> None:
        prompt = parse_prompt(text)
        assert text.startswith(prompt.head) and text.endswith(prompt.tail)
        assert prompt.n_images == text.count("<image>")
        answer = route(prompt)
        assert answer.task in TASKS
        assert answer == route_text(text)

    fuzz(n, PROMPTS, check)


@pytest.mark.parametrize("n", TIERS)
def test_what_a_shopper_types_never_leaves_the_official_dialogue(n: int) -> None:
    calm = parse_prompt(dialogue_instruction("用户: ", "客服: 您好"))

    def check(typed: str) -> None:
        prompt = parse_prompt(dialogue_instruction(f"用户: {typed}", "客服: 您好"))
        assert (prompt.head, prompt.tail) == (calm.head, calm.tail)
        assert route(prompt).task == "dialogue"

    fuzz(n, PROMPTS, check)


@pytest.mark.parametrize("n", TIERS)
def test_any_labels_come_back_from_the_csv(folder: Path, n: int) -> None:
    clean = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)

    def check(answers: dict[str, tuple[str, Any]]) -> None:
        samples = [
            Sample(id=key, prompt=parse_prompt(""), row={"id": key, "x": row}) for key, (_, row) in answers.items()
        ]
        labels = {key: label for key, (label, _) in answers.items()}
        write_submission(folder / "s.csv", samples, labels)
        assert read_submission(folder / "s.csv") == labels

    fuzz(n, st.dictionaries(clean, st.tuples(clean, VALUES), min_size=1, max_size=4), check)
