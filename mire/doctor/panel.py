"""What is in a panel folder: its settings, its training data, and its out-of-fold figures."""

from collections.abc import Iterator
from pathlib import Path

from mire.doctor.check import Check
from mire.labels import TASKS
from mire.panel_card import Card, fingerprint, read_card
from mire.panel_folder import PanelFolder


def panel_lines(panel: PanelFolder) -> Iterator[Check]:
    """The panel's settings and fingerprint; per task its voters, training data and out-of-fold F1."""
    settings = panel.settings()
    yield Check(f"configuration {settings.name}, seed {settings.seed}, {settings.folds} folds")
    yield Check(f"fingerprint   {fingerprint(panel)}")
    for task in TASKS:
        voters = ", ".join(settings.panel.voters(task))
        if not panel.has(task):
            yield Check(
                f"{task:<13} not trained yet ({voters})",
                f"mire train {task} --panel {panel.root} ...",
            )
            continue
        card = read_card(panel, task)
        yield Check(f"{task:<13} {voters}: trained{_training(card)}")
        for name in settings.panel.voters(task):
            yield from _adapter(panel, panel.voter(task, name) / "adapter_model.safetensors")


def _training(card: Card | None) -> str:
    """What a task was trained on, and its out-of-fold figure."""
    if card is None:
        return ", with a version that wrote no model card"
    if card.panel is None:
        return f" on the labels' descriptions and {card.n_samples:,} samples, too few to hold any out"
    return (
        f" on {card.data} ({card.data_digest}): {card.n_samples:,} samples, {card.n_labels} labels; out of fold "
        f"F1 {card.panel.f1:.3f} ({card.panel.low:.3f} to {card.panel.high:.3f}, n {card.panel.n})"
    )


def _adapter(panel: PanelFolder, weights: Path) -> Iterator[Check]:
    """Find adapters with the module names of an older transformers: they load without an error and have no effect."""
    if not weights.is_file():
        return
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        old = [key for key in file.keys() if ".language_model." not in key and ".visual." not in key]  # noqa: SIM118
    if old:
        yield Check(
            f"{weights.relative_to(panel.root)} has the module names of an older transformers ({old[0]})",
            "convert it: mire convert --help",
        )
