"""The rows of voters, against the settings and the classes that they name."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from ensemble.voting.pooling import RULES
from experts.registry import VOTERS, VoterRow, count_parameters
from experts.voter import VoterClass
from mire.settings import Rule, Settings, load_settings

ROWS = pytest.mark.parametrize("row", VOTERS.values(), ids=list(VOTERS))


def test_every_stage_has_its_row() -> None:
    stages = [stage.voter for stage in Settings.stages().values()]
    assert sorted(stages) == sorted(VOTERS)
    assert all(name == row.name for name, row in VOTERS.items())


def test_every_rule_of_the_settings_has_its_function() -> None:
    assert set(get_args(Rule)) == RULES.keys()


@ROWS
def test_a_row_names_a_class_that_does_what_the_row_says(row: VoterRow) -> None:
    kind = row.resolve()
    assert issubclass(kind, VoterClass)
    assert kind.name == row.name
    assert row.files and len(set(row.files)) == len(row.files)
    assert row.tasks and row.stage in Settings.stages().values()
    for method in ("vote", "cost", "parameters"):
        assert hasattr(kind, method)
    assert kind.load.__func__ is not VoterClass.load.__func__
    assert (kind.train.__func__ is VoterClass.train.__func__) is row.adapters
    assert hasattr(kind, "save") is not row.adapters
    assert (hasattr(kind, "explain") and hasattr(kind, "label_words")) is row.explains


@ROWS
@pytest.mark.parametrize("method", ["load", "train", "load_base", "sizes", "weights_checks", "digest", "read_lines"])
def test_class_methods_are_called_alike(row: VoterRow, method: str) -> None:
    asked = inspect.signature(getattr(VoterClass, method)).parameters
    given = inspect.signature(getattr(row.resolve(), method)).parameters
    assert list(given)[: len(asked)] == list(asked)
    assert all(more.default is not inspect.Parameter.empty for more in list(given.values())[len(asked) :])


def test_the_registry_is_light() -> None:
    code = "import experts.registry, sys; assert not {'torch', 'sklearn', 'lightgbm', 'scipy'} & sys.modules.keys()"
    root = Path(__file__).parent.parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_voter_of_adapters_is_not_trained_here() -> None:
    (row,) = (row for row in VOTERS.values() if row.adapters)
    with pytest.raises(NotImplementedError, match="Qwen2VLVoter is not trained in this process"):
        row.resolve().train([], taxonomy=None, settings=None, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs its base"):
        row.resolve().load(Path(), taxonomy=None, settings=None)  # type: ignore[arg-type]


def test_cpu_loads_the_screen_reader_only() -> None:
    assert list(count_parameters(load_settings("cpu")).parts) == ["ocr rapidocr"]


@pytest.mark.slow
def test_qwen2_vl_7b_is_counted_exactly_and_fits() -> None:
    count = count_parameters(load_settings("qwen2-vl-7b"))
    assert count.parts["base Qwen/Qwen2-VL-7B-Instruct"] == 8_291_375_616
    assert count.parts["adapter image"] == count.parts["adapter dialogue"] == 40_370_176
    assert count.total < 10_000_000_000
    count.check()
