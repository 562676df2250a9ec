import pytest

from ensemble.training.few_samples import fine_tuning_settings, fitting_settings, too_few
from mire.errors import DataError
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Settings, load_settings

BOTH = {"name": "mine", "panel": {"image": ["screen_text"], "dialogue": ["dialogue_text", "text_embedding"]}}


def samples(*labels: str) -> list[Sample]:
    return [Sample(str(place), parse_prompt(f"用户: {place}"), label=label) for place, label in enumerate(labels)]


def test_enough_samples_change_nothing() -> None:
    settings = Settings.model_validate(BOTH)
    assert fitting_settings(settings, "dialogue", samples(*"ab" * 5)) is settings


def test_few_samples_get_fewer_folds() -> None:
    found = fitting_settings(Settings.model_validate(BOTH), "dialogue", samples(*"aaabbb"))
    assert (found.folds, found.panel.dialogue) == (3, ("dialogue_text", "text_embedding"))
    assert not too_few(samples(*"aaabbb"), found, "dialogue")


@pytest.mark.parametrize("labels", ["", "a", "ab", "aaa"])
def test_too_few_are_left_to_the_voters_that_learn_from_descriptions(labels: str) -> None:
    settings = Settings.model_validate(BOTH | {"weights": {"dialogue": {"dialogue_text": 1.0}}})
    found = fitting_settings(settings, "dialogue", samples(*labels))
    assert (found.panel.dialogue, found.panel.image, found.weights) == (("text_embedding",), ("screen_text",), {})
    assert too_few(samples(*labels), found, "dialogue")
    assert Settings.model_validate_json(found.model_dump_json()) == found


def test_without_such_a_voter_samples_are_needed() -> None:
    settings = load_settings("cpu", ["panel.dialogue=[dialogue_text]"])
    assert fitting_settings(settings, "dialogue", samples(*"ab")) is settings
    with pytest.raises(
        DataError, match="training dialogue without samples needs a voter .* descriptions: text_embedding"
    ):
        fitting_settings(settings, "dialogue", [])


def test_the_encoder_is_fine_tuned_where_every_fold_leaves_four_of_the_median_label() -> None:
    tuned = Settings.model_validate(BOTH | {"text_embedding": {"fine_tune": True}})
    assert tuned.text_embedding.image.fine_tune and tuned.text_embedding.dialogue.fine_tune
    assert fine_tuning_settings(tuned, "dialogue", samples(*"ab" * 5)) is tuned
    for few in (samples(*"ab" * 4), samples(*"aabb"), samples(*"a" * 9), []):
        found = fine_tuning_settings(tuned, "dialogue", few).text_embedding
        assert (found.image.fine_tune, found.dialogue.fine_tune) == (True, False)
    plain = Settings.model_validate(BOTH)
    assert fine_tuning_settings(plain, "dialogue", samples(*"ab" * 4)) is plain
