from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from records import image_instruction

from experts.clip_lightgbm.embed import Embedder, create_model
from experts.clip_lightgbm.voter import ClipLightgbmVoter
from mire.errors import PanelError
from mire.labels import builtin_taxonomy
from mire.process_pool import ProcessPool
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Clip, Trees

CLIP = Clip(model="mire-nano", weights="random", batch_size=4)
CART, SHOP = "购物车页面", "店铺页面"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    made = []
    for number in range(24):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (40, 80), (230 - number, 40, 30) if number % 2 else (30, 40, 230 - number)).save(path)
        label = CART if number % 2 else SHOP
        made.append(Sample(id=str(number), prompt=parse_prompt(image_instruction()), images=(path,), label=label))
    return made


def test_embeddings_are_computed_once_and_kept(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [sample.images[0] for sample in samples[:6]]
    first = Embedder(CLIP).embed(paths)
    again = Embedder(CLIP)
    monkeypatch.setattr(Embedder, "_run", lambda self, batch: {} if not batch else pytest.fail("ran again"))
    second = again.embed(paths)
    for path in paths:
        np.testing.assert_array_equal(first[path], second[path])
        assert first[path].shape == (512,)


def test_random_weights_are_always_the_same(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = samples[0].images[0]
    first = Embedder(CLIP).embed([path])[path]
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "other"))
    np.testing.assert_array_equal(Embedder(CLIP).embed([path])[path], first)


def test_a_gpu_computes_what_a_cpu_does_and_both_share_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cudnn.allow_tf32", True)
    assert Embedder(CLIP).n_parameters
    assert not torch.backends.cudnn.allow_tf32


def test_it_learns_saves_and_answers_the_same(samples: list[Sample], tmp_path: Path) -> None:
    taxonomy = builtin_taxonomy("image")
    voter = ClipLightgbmVoter.train(samples, taxonomy=taxonomy, settings=CLIP, seed=1)
    votes = [vote for vote in voter.vote(samples) if vote]
    right = [
        taxonomy.labels[int(np.argmax(vote.probabilities))] == s.label for vote, s in zip(votes, samples, strict=True)
    ]
    assert np.mean(right) > 0.9
    assert all(sum(vote.probabilities) == pytest.approx(1) for vote in votes)
    voter.save(tmp_path / "v")
    assert {path.name for path in (tmp_path / "v").iterdir()} == {"model.txt", "meta.json"}
    assert ClipLightgbmVoter.load(tmp_path / "v", taxonomy=taxonomy, settings=CLIP).vote(samples) == votes
    with pytest.raises(PanelError, match="was trained with .*mire-nano.*ViT-L-14.* is asked for"):
        ClipLightgbmVoter.load(tmp_path / "v", taxonomy=taxonomy, settings=Clip())


def test_rounds_are_a_choice(samples: list[Sample]) -> None:
    few = CLIP.model_copy(update={"trees": Trees(rounds=2)})
    voter = ClipLightgbmVoter.train(samples, taxonomy=builtin_taxonomy("image"), settings=few, seed=1)
    assert voter.booster.num_trees() == 2 * 23


def test_an_unreadable_picture_is_an_abstention(samples: list[Sample], tmp_path: Path) -> None:
    voter = ClipLightgbmVoter.train(samples, taxonomy=builtin_taxonomy("image"), settings=CLIP, seed=1)
    (tmp_path / "bad.png").write_bytes(b"no")
    bad = Sample(id="bad", prompt=samples[0].prompt, images=(tmp_path / "bad.png",))
    none = Sample(id="none", prompt=samples[0].prompt)
    votes = voter.vote([bad, samples[0], none])
    assert [vote is None for vote in votes] == [True, False, True]


def test_training_without_any_picture_is_an_error() -> None:
    sample = Sample(id="a", prompt=parse_prompt(image_instruction()), label=CART)
    with pytest.raises(PanelError, match="none of the samples' pictures can be read"):
        ClipLightgbmVoter.train([sample], taxonomy=builtin_taxonomy("image"), settings=CLIP, seed=1)


@pytest.mark.parametrize("clip", [Clip(model="no-such-model"), Clip(model="mire-nano", weights="no-such-tag")])
def test_unknown_models_and_weights_name_the_way_out(clip: Clip) -> None:
    with pytest.raises(PanelError, match=r"cannot be loaded: .*name a file or a folder as clip.weights or clip.model"):
        create_model(clip)


def test_a_model_by_its_configuration_file(tmp_path: Path) -> None:
    from importlib import resources

    shape = resources.files("mire").joinpath("data", "mire-nano.json").read_text()
    (tmp_path / "my-own.json").write_text(shape.replace('"layers": 2', '"layers": 1'))
    model = create_model(Clip(model=str(tmp_path / "my-own.json"), weights="random"))
    assert len(model.visual.transformer.resblocks) == 1


@pytest.mark.parametrize("n", [0, 2])
def test_workers_change_no_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths[:-1]):
        Image.new("RGB", (40 + number, 80), (6 * number, 40, 30)).save(path)
    monkeypatch.setattr("experts.clip_lightgbm.embed.workers", lambda: ProcessPool(n))
    vectors = Embedder(CLIP).embed(paths)
    assert list(vectors) == paths[:-1], "all but the missing one"
    alone = Embedder(CLIP)
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "other"))
    for path in paths[:8:3]:
        np.testing.assert_allclose(alone.embed([path])[path], vectors[path], atol=1e-5)
