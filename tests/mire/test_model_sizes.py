"""The parameter budget, counted from the shapes alone."""

import pytest

from mire.errors import SettingsError
from mire.model_sizes import count_base
from mire.settings import Qwen2VL, load_settings


def test_an_adapter_of_the_vision_tower_costs_more() -> None:
    settings = load_settings("nano").qwen2vl
    language_only = settings.model_copy(update={"lora": settings.lora.model_copy(update={"vision": False})})
    assert count_base(language_only)[0] == count_base(settings)[0] < 10_000_000
    assert 0 < count_base(language_only)[1] < count_base(settings)[1]


def test_a_merged_adapter_has_the_rank_of_all_folds_together() -> None:
    settings = load_settings("nano").qwen2vl
    merged = settings.model_copy(update={"final": "merge", "vote_folds": 3})
    assert count_base(merged)[1] == 3 * count_base(settings)[1]


def test_an_average_over_seeds_has_the_rank_of_all_together() -> None:
    settings = load_settings("nano").qwen2vl
    assert count_base(settings.model_copy(update={"final_seeds": 3}))[1] == 3 * count_base(settings)[1]


def test_an_unknown_base_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="the shape of base 'none/such' is not known here.*Qwen/Qwen2-VL-7B"):
        count_base(Qwen2VL(base="none/such"))
