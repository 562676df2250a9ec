import json
from pathlib import Path

import pytest

from mire.errors import SettingsError
from mire.labels import builtin_taxonomy, load_taxonomy, save_taxonomy


def test_the_challenge_has_23_live_labels_a_task() -> None:
    image, dialogue = builtin_taxonomy("image"), builtin_taxonomy("dialogue")
    assert (len(image.printed), len(image.labels)) == (25, 23)
    assert set(image.printed) - set(image.labels) == {"消费者与客服聊天页面", "个人信息页面"}
    assert len(dialogue.printed) == len(dialogue.labels) == 23
    assert all(entry.gloss and entry.description for entry in (*image.entries, *dialogue.entries))


def test_the_most_probable_labels_come_first_and_equal_ones_in_the_taxonomys_order() -> None:
    taxonomy = builtin_taxonomy("image")
    probabilities = [0.0] * 23
    probabilities[2], probabilities[7], probabilities[5] = 0.25, 0.25, 0.5
    top = taxonomy.top(probabilities, 3)
    assert [(label.name, probability) for label, probability in top] == [
        (taxonomy.labels[5], 0.5), (taxonomy.labels[2], 0.25), (taxonomy.labels[7], 0.25),
    ]  # fmt: skip


def test_index_knows_live_labels_only() -> None:
    taxonomy = builtin_taxonomy("image")
    assert taxonomy.labels[taxonomy.index("购物车页面")] == "购物车页面"
    assert "个人信息页面" not in taxonomy
    with pytest.raises(KeyError, match="个人信息页面"):
        taxonomy.index("个人信息页面")


def test_a_taxonomy_of_ones_own_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps({"task": "image", "labels": [{"name": "a"}, {"name": "b"}, {"name": "c", "live": False}]})
    )
    taxonomy = load_taxonomy(path)
    assert taxonomy.labels == ("a", "b")
    save_taxonomy(taxonomy, path)
    assert load_taxonomy(path) == taxonomy


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([{"name": "a"}, {"name": "a"}], "label names must be unique, a occur"),
        ([{"name": "a"}, {"name": " "}], "must not be empty"),
        ([{"name": "a"}, {"name": "b", "live": False}], "at least two live labels"),
        ([{"name": "a"}, {"nam": "b"}], r"labels.1.name: Field required"),
    ],
)
def test_broken_taxonomies_name_the_fault(tmp_path: Path, labels: object, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"task": "image", "labels": labels}))
    with pytest.raises(SettingsError, match=message):
        load_taxonomy(path)


def test_the_fingerprint_changes_with_the_order(tmp_path: Path) -> None:
    prints = set()
    for names in ("ab", "ba"):
        path = tmp_path / "mine.json"
        path.write_text(json.dumps({"task": "image", "labels": [{"name": name} for name in names]}))
        prints.add(load_taxonomy(path).fingerprint)
    assert len(prints) == 2
