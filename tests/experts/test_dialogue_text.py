import json
from pathlib import Path

import numpy as np
import pytest
from records import dialogue_instruction

from experts.dialogue_text.features import clean, is_question, take_apart
from experts.dialogue_text.lexicon import Lexicon, kept_strengths
from experts.dialogue_text.model import DialogueTextModel
from experts.dialogue_text.synthetic_turns import made_up
from experts.dialogue_text.voter import DialogueTextVoter
from experts.linear import piece_names
from mire.errors import PanelError, SettingsError
from mire.labels import Label, Taxonomy, builtin_taxonomy
from mire.prompts import Turn, parse_prompt
from mire.samples import Sample
from mire.settings import DialogueText

LEXICON = json.dumps(
    {
        "intents": {
            "锈": {"user": ["生锈", "会…锈", "锈"], "agent": ["防锈"], "questions": ["{会|容易}生锈吗"]},
            "货": {"user": ["有货", "#天"], "agent": ["补货"], "questions": ["有货吗", "{今天|明天|后天}有货"]},
        }
    },
    ensure_ascii=False,
)
LABELS = ("锈", "货", "灯")


def sample(number: int, *lines: str, label: str | None = None) -> Sample:
    return Sample(id=f"s{number}", prompt=parse_prompt(dialogue_instruction(*lines)), label=label)


def training_set() -> list[Sample]:
    texts = {"锈": ["会生锈吗", "怎么生锈了"], "货": ["什么时候有货", "有货吗"]}
    return [
        sample(2 * number + place, f"用户: 这个{text}", label=label)
        for number, (label, ways) in enumerate(texts.items())
        for place, text in enumerate(ways)
    ]


def trained() -> DialogueTextModel:
    samples = training_set()
    return DialogueTextModel(LABELS, lexicon=Lexicon(LEXICON)).fit(samples, [str(each.label) for each in samples])


def test_clean_keeps_words_only() -> None:
    assert clean('"<http>" 这款<image>A1 <dxm:highlight>好用</dxm:highlight>吗/:066 ') == "这款 a1 好用 吗"
    assert clean('{"height":1280,"url":"<http>"}') == ""


@pytest.mark.parametrize("text", ["", "您好", "你好,在吗?", "转人工", "交易完成于1月", "包含1件商品，总金额为9元"])
def test_these_ask_nothing(text: str) -> None:
    assert not is_question(text)


def test_parts_of_a_dialogue() -> None:
    turns = [
        Turn("user", "您好"),
        Turn("agent", "欢迎光临"),
        Turn("user", "多大?"),
        Turn("agent", "两升"),
        Turn("user", "会生锈吗<image>"),
        Turn("agent", "不会"),
        Turn("agent", "不会"),
        Turn("user", "<image>"),
        Turn("agent", "看不见图片"),
    ]
    parts = take_apart(turns)
    assert (parts.question, parts.answer) == ("会生锈吗", "不会")
    assert (parts.earlier, parts.earlier_answers) == ("多大?", "两升")
    assert parts.exchange == "会生锈吗 不会"


def test_without_a_question_the_last_words_count() -> None:
    assert take_apart([Turn("user", "您好"), Turn("user", "<image>")]).question == "您好"
    assert take_apart([Turn("user", "<image>")]).question == ""


def test_strengths_by_hand() -> None:
    strengths = Lexicon(LEXICON).strengths("这个会不会锈, 生锈怎么办", labels=LABELS, side="user")
    # Three phrases, the longest of two literal characters: 1 + 2 x 0.5 + 2 x 0.25.
    assert strengths.tolist() == [2.5, 0.0, 0.0]
    assert Lexicon(LEXICON).strengths("三天", labels=LABELS, side="user").tolist() == [0.0, 1.25, 0.0]
    assert Lexicon(LEXICON).phrases_in("3.5天", label="货", side="user") == ["#天"]
    assert Lexicon(LEXICON).phrases_in("3.5天", label="货", side="agent") == []


def test_a_templates_weights_sum_to_one() -> None:
    questions = Lexicon(LEXICON).questions("货", n_each=2, seed=7)
    assert questions == Lexicon(LEXICON).questions("货", n_each=2, seed=7)
    assert [weight for _, weight in questions] == [1.0, 0.5, 0.5]
    assert {text for text, _ in questions} <= {"有货吗", "今天有货", "明天有货", "后天有货"}
    assert Lexicon(LEXICON).questions("灯", n_each=2, seed=7) == []


def test_a_broken_lexicon_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.json"
    path.write_text('{"intents": {"锈": {"usr": []}}}', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"lexicon\.json is not a lexicon.*usr"):
        Lexicon.read(path)


def test_a_phrase_that_would_be_searched_for_ever_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.json"
    path.write_text(f'{{"intents": {{"锈": {{"user": ["会{"…" * 20}锈"]}}}}}}', encoding="utf-8")
    with pytest.raises(SettingsError, match="a phrase may have 3 wildcards, got '会…"):
        Lexicon.read(path)


def test_no_text_is_kept_that_is_not_learned_from() -> None:
    before = kept_strengths.cache_info().currsize
    Lexicon(LEXICON).strengths("我的手机号是", labels=LABELS, side="user")
    assert kept_strengths.cache_info().currsize == before


def test_the_shipped_lexicon_knows_every_intent() -> None:
    lexicon = Lexicon.read()
    for label in builtin_taxonomy("dialogue").labels:
        assert lexicon.questions(label, n_each=1, seed=0), label
        assert lexicon.strengths("", labels=[label], side="user").tolist() == [0.0]


def test_every_intent_has_made_up_turns_of_both_sides() -> None:
    labels = builtin_taxonomy("dialogue").labels
    made = made_up(labels, Lexicon('{"intents": {}}'), settings=DialogueText(), seed=7)
    for label in labels:
        asked = {each.parts.question for each in made if each.label == label} - {""}
        answered = {each.parts.answer for each in made if each.label == label} - {""}
        assert len(asked) >= 58, label
        assert len(answered) >= 10, label
    assert {each.weight for each in made} == {0.3}


def test_made_up_turns_stand_under_one_intent_only() -> None:
    made = made_up(builtin_taxonomy("dialogue").labels, Lexicon('{"intents": {}}'), settings=DialogueText(), seed=7)
    labels_of: dict[str, set[str]] = {}
    for each in made:
        labels_of.setdefault(each.parts.exchange, set()).add(each.label)
    assert [text for text, labels in labels_of.items() if len(labels) > 1] == []


def test_a_labels_made_up_turns_weigh_as_written() -> None:
    made = made_up(["货", "灯"], Lexicon(LEXICON), settings=DialogueText(), seed=7)
    # Two templates, half a dialogue each: one variant of the first, three of the second.
    assert [each.weight for each in made] == pytest.approx([0.5] + [0.5 / 3] * 3)
    assert {each.label for each in made} == {"货"}


def test_the_model_learns_and_never_answers_what_it_has_not_seen() -> None:
    rows = trained().probabilities([sample(9, "用户: 锅会生锈吗"), sample(10, "用户: 明天有货吗")])
    assert rows.shape == (2, 3)
    assert rows.argmax(axis=1).tolist() == [0, 1]
    assert rows[:, 2].tolist() == [0.0, 0.0]
    assert rows.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_ids_do_not_matter() -> None:
    rows = trained().probabilities([sample(1, "用户: 生锈了"), sample(700, "用户: 生锈了")])
    assert rows[0].tolist() == rows[1].tolist()


def test_explanations_are_words() -> None:
    words = dict(trained().explain(sample(9, "用户: 锅会生锈吗")))
    assert "锈: 生锈, 会…锈, 锈" in words
    assert min(words.values()) > 0
    assert all(len(word) > 1 and not word.endswith(":") for word in words)


def test_save_and_load(tmp_path: Path) -> None:
    model, asked = trained(), [sample(9, "用户: 锅会生锈吗", "客服: 防锈的")]
    model.save(tmp_path / "m")
    loaded = DialogueTextModel.load(tmp_path / "m", DialogueText())
    assert np.array_equal(loaded.probabilities(asked), model.probabilities(asked))
    assert loaded.explain(asked[0]) == model.explain(asked[0])
    assert {path.suffix for path in (tmp_path / "m").iterdir()} == {".skops", ".json"}


def test_training_twice_gives_the_same_model() -> None:
    asked = [sample(9, "用户: 锅会生锈吗")]
    assert np.array_equal(trained().probabilities(asked), trained().probabilities(asked))


def test_the_voter_abstains_where_nobody_wrote(tmp_path: Path) -> None:
    taxonomy = Taxonomy("dialogue", (*(Label(name=name) for name in LABELS), Label(name="旧", live=False)))
    voter = DialogueTextVoter.train(training_set(), taxonomy=taxonomy, settings=DialogueText(), seed=7)
    votes = voter.vote([sample(9, "用户: <image>", "客服:"), sample(10, "用户: 会生锈吗")])
    assert votes[0] is None
    assert votes[1] is not None
    assert (votes[1].sample_id, len(votes[1].probabilities)) == ("s10", 3)
    assert (voter.cost.calls, voter.parameters) == (0, {})
    voter.save(tmp_path / "v")
    assert (
        DialogueTextVoter.load(tmp_path / "v", taxonomy=taxonomy, settings=DialogueText()).vote(
            [sample(10, "用户: 会生锈吗")]
        )
        == votes[1:]
    )
    with pytest.raises(PanelError, match="trained for other labels"):
        DialogueTextVoter.load(tmp_path / "v", taxonomy=builtin_taxonomy("dialogue"), settings=DialogueText())


def test_one_label_is_not_enough_to_train_on() -> None:
    with pytest.raises(PanelError, match=r"two labels.*got 1"):
        DialogueTextVoter.train(
            training_set()[:2], taxonomy=builtin_taxonomy("dialogue"), settings=DialogueText(), seed=7
        )


def test_choices_decide_what_is_learned() -> None:
    lexicon = Lexicon(LEXICON)
    asked = [sample(9, "用户: 锅会生锈吗")]
    alone = DialogueText(template_weight=0, turn_weight=0)
    assert made_up(LABELS, lexicon, settings=alone, seed=7) == []
    every = made_up(LABELS, lexicon, settings=DialogueText(), seed=7)
    assert len(made_up(LABELS, lexicon, settings=DialogueText(template_variants=1), seed=7)) < len(every)
    labels = [str(each.label) for each in training_set()]
    for choice in (alone, DialogueText(grams=(2, 3)), DialogueText(penalty=3), DialogueText(sharpness=1)):
        model = DialogueTextModel(LABELS, settings=choice, lexicon=lexicon).fit(training_set(), labels)
        assert not np.allclose(model.probabilities(asked), trained().probabilities(asked))


def pieces(model: DialogueTextModel) -> set[str]:
    return {piece.removeprefix("exchange: ") for piece in piece_names(model._parts["vectorizers"], "question")}


def test_what_a_single_dialogue_says_is_not_kept() -> None:
    kept = pieces(trained())
    assert {"这个", "生锈", "么"} <= kept  # two dialogues or more
    assert "容易" in kept  # a synthetic turn
    assert not {"怎么", "锈了", "时候"} & kept
    assert all(isinstance(words, list) for words in trained().label_words().values())


def test_without_anything_shared_phrases_and_characters_are_left(tmp_path: Path) -> None:
    samples = [sample(0, "用户: 会生锈吗", label="锈"), sample(1, "用户: 何时补", label="货")]
    settings = DialogueText(template_weight=0, turn_weight=0)
    model = DialogueTextModel(LABELS, settings=settings, lexicon=Lexicon(LEXICON)).fit(samples, ["锈", "货"])
    assert pieces(model) == set("会生锈吗何时补")
    model.save(tmp_path)
    again = DialogueTextModel.load(tmp_path, settings)
    assert np.array_equal(again.probabilities(samples), model.probabilities(samples))
    assert again.probabilities(samples)[0].argmax() == 0
