"""Put an adapter that was trained elsewhere into a panel: it votes, and the vote is fitted again."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ensemble.panel import Panel, Votes
from ensemble.training.model_card import write_cards, write_panel_card
from ensemble.training.replacement import check_none_begun, replacing
from ensemble.training.train_panel import read_labelled
from ensemble.training.training_set import TrainingSet
from ensemble.voting.fitting import fit_panel
from ensemble.voting.oof_votes import add_votes, write_votes
from ensemble.voting.weights import Weights
from experts.qwen2vl.adapter import Manifest, read_manifest
from experts.registry import VOTERS
from mire.budget import Cost, Ledger
from mire.errors import DataError, PanelError
from mire.folds import add_unseen, read_folds, trained_on
from mire.labels import TASKS, Task
from mire.panel_card import read_card
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Qwen2VL, Settings, differences, save_settings

_NAME = Qwen2VL.voter


def add_adapter(panel: PanelFolder, task: Task, adapter: Path, *, data: Path, images: Path) -> Weights:
    """Make the adapter the panel's Qwen2-VL voter of the task, beside the voters that are there.

    ``data`` holds labelled samples that the adapter was not trained on: its votes on them count as out of fold. Of the
    other voters the out-of-fold votes count where they were trained on a sample, else fresh ones.

    Raises:
        DataError: as ``read_labelled``, or a sample has the id of another one that the panel was trained on.
        PanelError: the panel lacks the task's other voters, the adapter fits neither its labels nor the other task's
            adapter, or a training is under way or was stopped.
    """
    panel.taxonomy(task)
    settings = _settings_with(read_manifest(adapter), panel, task)
    samples = read_labelled((task,), data, images, settings)[task]
    check_none_begun(panel, task)
    with replacing(panel, task, settings) as beside:
        _copy(adapter, beside.voter(task, _NAME))
        _add_votes(beside, task, samples)
        weights = fit_panel(beside, task)
        known = TrainingSet.known(task, samples, data=data, images=images, panel=beside)
        trained = read_card(beside, task)
        beside.card(task).unlink(missing_ok=True)  # its times are those of the old voters
        checks = {name: each for name, each in trained.checks.items() if name != _NAME} if trained else {}
        write_cards(known, checks, trained=trained)
    with panel.shared():
        save_settings(settings, panel.root / "settings.json")
    write_panel_card(panel)
    return weights


def _copy(adapter: Path, place: Path) -> None:
    """Put the files that it answers with in the place of a voter; whatever else its folder links to stays outside."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for path in (adapter / name for name in VOTERS[_NAME].files):
        if path.is_file():  # what is missing is named when the voter is loaded
            shutil.copyfile(path, place / path.name)


def _settings_with(found: Manifest, panel: PanelFolder, task: Task) -> Settings:
    """The panel's settings with the adapter's base, layout and limits, and with the voter."""
    before = panel.settings()
    limits = found.model_dump(include={"base", "layout", "min_pixels", "max_pixels", "max_tokens"})
    names = before.panel.voters(task)
    voters = before.panel.model_copy(update={task: names if _NAME in names else (_NAME, *names)})
    shared = before.with_stage(before.qwen2vl.model_copy(update=limits))
    other = next(each for each in TASKS if each != task)
    if panel.has(other) and _NAME in before.panel.voters(other) and (differing := differences(before, shared)):
        raise PanelError(
            f"the adapters of a panel share a base and its limits, and the {other} adapter of {panel.root} was trained "
            f"with others: {'; '.join(differing)}; use another panel"
        )
    return shared.model_copy(update={"panel": voters})


def _add_votes(panel: PanelFolder, task: Task, samples: Sequence[Sample]) -> None:
    """Write the adapter's votes, and those of the other voters on samples that they were not trained on."""
    seen = trained_on(panel.folds(task), samples)
    fresh = [sample for sample in samples if sample.id not in seen]
    if doubles := [sample.id for sample in fresh if sample.id in read_folds(panel.folds(task))]:
        raise DataError(f"the panel was trained on another sample of id {doubles[0]!r}; give the new one another id")
    votes, costs = _cast(panel, task, samples)
    labels = {seen.get(sample.id, sample.id): str(sample.label) for sample in samples}
    for name, cast in votes.items():
        write = write_votes if name == _NAME else add_votes
        mine = [vote for vote in cast if vote and (name == _NAME or vote.sample_id not in seen)]
        known = [replace(vote, sample_id=seen.get(vote.sample_id, vote.sample_id)) for vote in mine]
        write(panel.votes(task, name), known, labels, taxonomy=panel.taxonomy(task), cost=costs[name])
    add_unseen(fresh, panel.folds(task))


def _cast(panel: PanelFolder, task: Task, samples: Sequence[Sample]) -> tuple[Votes, dict[str, Cost]]:
    """All voters' votes; the voters are freed afterwards, because the cards load them once more."""
    part = Panel.load(panel.root, (task,)).tasks[task]
    return part.cast(samples, Ledger()), {voter.name: voter.cost for voter in part.voters}
