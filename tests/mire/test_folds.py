from pathlib import Path

import pytest
from records import dialogue_instruction

from mire.errors import DataError
from mire.folds import MAX_SHARED, make_folds, read_folds, trained_on, twins, write_folds
from mire.prompts import parse_prompt
from mire.samples import Sample


def sample(number: int, label: str, *images: Path) -> Sample:
    return Sample(id=f"s{number}", prompt=parse_prompt(f"text {number}"), images=images, label=label)


def test_labels_spread_over_the_folds() -> None:
    samples = [sample(number, "ab"[number % 2]) for number in range(20)]
    folds = make_folds(samples, n_folds=5, seed=0)
    for fold in range(5):
        labels = [s.label for s in samples if folds[s.id] == fold]
        assert sorted(map(str, labels)) == ["a", "a", "b", "b"]


def test_samples_that_share_a_picture_stay_together(tmp_path: Path) -> None:
    shared = tmp_path / "a.png", tmp_path / "b.png"
    for path in shared:
        path.write_bytes(b"the same bytes")
    samples = [sample(number, "a") for number in range(18)] + [sample(18, "a", shared[0]), sample(19, "a", shared[1])]
    folds = make_folds(samples, n_folds=4, seed=3)
    assert folds["s18"] == folds["s19"]


def test_rare_labels_are_handled() -> None:
    samples = [sample(number, "common") for number in range(20)] + [sample(20, "rare"), sample(21, "rare")]
    assert len(make_folds(samples, n_folds=5, seed=0)) == 22


@pytest.mark.parametrize(("labels", "most"), [("", 0), ("a", 1), ("aaaabbbbcccc", 4)])
def test_too_few_samples(labels: str, most: int) -> None:
    samples = [sample(number, label) for number, label in enumerate(labels)]
    with pytest.raises(DataError, match=f"a label with at least 5 samples, the commonest has {most}; label more"):
        make_folds(samples, n_folds=5, seed=0)


def test_as_many_samples_of_one_label_as_folds_are_enough() -> None:
    samples = [sample(number, label) for number, label in enumerate("aaaaab")]
    assert len(make_folds(samples, n_folds=5, seed=0)) == 6


def test_training_samples_are_known_again_by_content_whatever_their_id(tmp_path: Path) -> None:
    samples = [sample(number, "ab"[number % 2]) for number in range(4)]
    folds = make_folds(samples, n_folds=2, seed=0)
    write_folds(folds, samples, tmp_path / "folds.json")
    assert read_folds(tmp_path / "folds.json") == folds
    stranger = Sample(id="s1", prompt=parse_prompt("another text"), label="b")
    renamed = Sample(id="new", prompt=samples[2].prompt, label="a")
    known = trained_on(tmp_path / "folds.json", [samples[0], stranger, renamed])
    assert known == {"s0": "s0", "new": "s2"}


ANSWER = "本店的杯子用的是食品级不锈钢，正常使用不会生锈"


def dialogue(number: int, question: str, answer: str) -> Sample:
    text = dialogue_instruction(f"用户: {question}", f"客服: {answer}")
    return Sample(id=f"d{number}", prompt=parse_prompt(text), label="ab"[number % 2])


def test_dialogues_that_share_a_long_answer_are_twins_and_share_a_fold() -> None:
    samples = [
        dialogue(number, f"{chr(0x4E00 + 37 * number)}好", f"{chr(0x5E00 + 91 * number)}") for number in range(20)
    ]
    samples += [dialogue(20, "会锈吗", ANSWER), dialogue(21, "洗碗机能用吗，多少度的水", f"{ANSWER}")]
    assert list(twins(samples)) == [(20, 21, "share an agent's long answer")]
    for seed in range(5):
        folds = make_folds(samples, n_folds=5, seed=seed)
        assert folds["d20"] == folds["d21"]


def test_boilerplate_and_short_answers_make_no_twins() -> None:
    long = [dialogue(number, f"{chr(0x4E00 + 37 * number)}" * 30, ANSWER) for number in range(MAX_SHARED + 1)]
    assert not list(twins(long))
    assert len(list(twins(long[:-1]))) == MAX_SHARED - 1
    assert not list(twins([dialogue(0, "会锈吗", "不会的亲"), dialogue(1, "包邮吗", "不会的亲")]))


def test_almost_the_same_dialogue_is_a_twin() -> None:
    question = "我想问一下这个杯子放在洗碗机里面洗会不会生锈呢"
    first, second = dialogue(0, question, "稍等"), dialogue(1, f"{question}吗", "稍等")
    ((left, right, reason),) = twins([first, dialogue(2, "什么时候发货，急用，能不能今天就发出来", "稍等"), second])
    assert (left, right) == (0, 2) and reason.startswith("are alike (cosine 0.")
