from pathlib import Path

import pytest

from ensemble.labels.suggest import drafts_for, read_drafts, write_drafts
from experts.dialogue_text.model import DialogueTextModel
from experts.dialogue_text.synthetic_turns import known_turns
from mire.errors import DataError
from mire.labels import Draft, Label, Taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample

LABELS = (
    Label(name="开发票", description="用户要发票，问抬头怎么写"),
    Label(name="改地址", description="要修改收货地址"),
)


def test_drafts_are_made_of_the_name_and_the_descriptions_clauses() -> None:
    drafts = drafts_for(LABELS[0])
    asked = [draft.text for draft in drafts if draft.speaker == "user"]
    assert {"开发票", "我想开发票", "发票", "请问抬头怎么写"} <= set(asked)
    assert "您好，关于开发票，马上为您处理" in [draft.text for draft in drafts if draft.speaker == "agent"]
    english = drafts_for(Label(name="refund", description="The customer asks for money back, or wants to cancel."))
    assert {"hi, money back", "hi, cancel"} <= {draft.text for draft in english}


def test_a_label_of_the_challenge_has_the_turns_that_are_known_for_it() -> None:
    known = known_turns("是否会生锈")
    assert [draft.text for draft in drafts_for(Label(name="是否会生锈"))] == [*known["user"], *known["agent"]]


def test_drafts_come_back_as_a_person_left_them(tmp_path: Path) -> None:
    path = tmp_path / "drafts.csv"
    assert write_drafts(Taxonomy("dialogue", LABELS), path) == len(drafts_for(LABELS[0])) + len(drafts_for(LABELS[1]))
    path.write_text("label,speaker,text\n开发票,user,发票\n开发票,agent,好的\n", encoding="utf-8")
    assert read_drafts(path, ["开发票", "改地址"]) == {
        "开发票": (Draft(speaker="user", text="发票"), Draft(speaker="agent", text="好的"))
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "must have the columns label, speaker, text, as mire labels suggest writes them"),
        ("label,speaker,text\n开发票,bot,x\n", r"row 2 must be a label \(开发票\), user or agent, and a text, got"),
        ("label,speaker,text\n别的,user,x\n", "row 2 must be a label"),
    ],
)
def test_edited_drafts_are_checked(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "drafts.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_drafts(tmp_path / "drafts.csv", ["开发票"])


def test_a_label_without_examples_is_learned_from_its_drafts() -> None:
    names = tuple(label.name for label in LABELS)
    samples = [
        Sample("1", parse_prompt("用户: 发票呢\n客服: 您好")),
        Sample("2", parse_prompt("用户: 开票\n客服: 您好")),
    ]
    asked = [Sample("3", parse_prompt("用户: 修改收货地址\n客服: 您好"))]
    drafts = {label.name: drafts_for(label) for label in LABELS}
    with_drafts = DialogueTextModel(names, drafts=drafts).fit(samples, ["开发票", "开发票"]).probabilities(asked)
    assert with_drafts[0, 1] > 0.5
