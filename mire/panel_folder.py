"""Where things lie in a panel folder; everything in it is readable, nothing is pickled."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from filelock import FileLock

from mire.atomic_files import read_model
from mire.errors import PanelError, some
from mire.labels import TASKS, Label, Task, Taxonomy, load_taxonomy, save_taxonomy
from mire.plain_files import check_plain_file
from mire.samples import Sample, read_samples
from mire.settings import Settings, check_at_prediction, differences, load_settings, save_settings

_PICKLES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz", ".dill"}
_EXPECTED = {
    ".json", ".safetensors", ".txt", ".skops", ".md", ".sha256", ".lock", ".html", ".css", ".svg", ".png", ".csv",
    ".tsv", ".jsonl", ".yaml", ".yml", ".log", ".journal", ".part", ".xlsx", ".jpg", ".jpeg", ".webp",
}  # fmt: skip
"""What files of a panel end in, and reports that people put beside them: none of it is ever run."""
TRAINING, PREVIOUS = "training", "previous"
"""Folders of a panel that no prediction reads: experts in the making, and those that the last training replaced."""
_DECIDES_NOTHING = ("folds", "seeds", "logs", "checkpoints", "history.json", "made_of.sha256", "README.md")
"""What lies in a voter's folder besides what it answers with."""


@dataclass(frozen=True)
class PanelFolder:
    """Paths inside a panel: settings, and for each task its labels, folds, votes, weights and voters.

    ``overrides`` are ``key.key=value`` of ``AT_PREDICTION``, which replace entries of its settings.
    """

    root: Path
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_at_prediction(self.overrides)

    def settings(self) -> Settings:
        """The settings that the panel was trained with, with the overrides.

        Raises:
            PanelError: the folder is no panel.
            SettingsError: an entry is invalid.
        """
        path = self.root / "settings.json"
        if not path.is_file():
            raise PanelError(f"{self.root} is no panel: {path.name} is missing; train one with mire train")
        return load_settings(str(path), self.overrides)

    def read_samples(self, path: Path, images: Path) -> list[Sample]:
        """As ``mire.samples.read_samples``, within this panel's limit on pictures."""
        return read_samples(path, images, max_decoded_pixels=self.settings().max_decoded_pixels)

    def claim(self, settings: Settings) -> None:
        """Make the folder this configuration's panel, or go on with one that is.

        Raises:
            PanelError: it holds experts that were trained with other settings; names the entries that differ. Or it
                holds a link that leads out of it.
        """
        self.check_links()
        path = self.root / "settings.json"
        self.root.mkdir(parents=True, exist_ok=True)
        with self.shared():
            begun = any(self.task(task).is_dir() for task in TASKS)
            if begun and path.is_file() and (differing := differences(self.settings(), settings)):
                raise PanelError(
                    f"{self.root} was trained with other settings: {some(differing)}; choose another --panel, or "
                    "delete the folder"
                )
            save_settings(settings, path)

    def shared(self) -> FileLock:
        """Held by the process that writes what belongs to both tasks, which may be trained at the same time."""
        return FileLock(self.root / ".shared.lock")

    def check_no_pickle(self) -> None:
        """Refuse a panel with a file of an unexpected kind: code, or what only unpickling could read, which runs code.

        Raises:
            PanelError: names the first such file.
            DataError: one is a pipe or a device.
        """
        for path in sorted(self.root.rglob("*")):
            # A training that was cut off leaves its own checkpoints, and logs, which no prediction reads.
            if {"checkpoints", "logs"} & set(path.relative_to(self.root).parts) or path.is_dir():
                continue
            check_plain_file(path)
            kind = path.suffix.lower() or (path.name if path.name.startswith(".") else "")
            if kind in _PICKLES:
                raise PanelError(
                    f"{path} may be a pickle, which can run any code when it is loaded; a panel holds safetensors, "
                    "LightGBM text, skops and JSON: remove it"
                )
            if kind not in _EXPECTED:
                raise PanelError(f"{path} is no file of a panel, and may be code; remove it")

    def check_links(self, *paths: Path) -> None:
        """Refuse links out of the panel, which a stranger may have made, among these files and under these folders.

        Without paths, in all of it. The panel itself may be a link.

        Raises:
            PanelError: names the first link that leads to no file of the panel.
        """
        inside = self.root.resolve()
        for path in chain.from_iterable(map(_with_all_inside, paths or (inside,))):
            if (path.is_symlink() and not path.is_file()) or not path.resolve().is_relative_to(inside):
                raise PanelError(
                    f"{path} lies behind a link that leads to no file of {self.root}: what lies there would be copied, "
                    "or overwritten; put the file itself there, or remove the link"
                )

    def taxonomy(self, task: Task) -> Taxonomy:
        """The labels that the task's voters were trained for."""
        path = self.task(task) / "taxonomy.json"
        if not path.is_file():
            raise PanelError(f"{self.root} holds no {task} experts; train them: mire train {task} --panel {self.root}")
        return load_taxonomy(path)

    def answered(self, task: Task) -> Taxonomy:
        """The labels that the panel answers: those of ``taxonomy``, then those that were added after training."""
        trained, path = self.taxonomy(task), self.added(task)
        if not path.is_file():
            return trained
        added = read_model(path, tuple[Label, ...], next_step="copy the panel again")
        return Taxonomy(task, (*trained.entries, *added))

    def taxonomies(self) -> dict[Task, Taxonomy]:
        """The labels of every task that the panel answers; raises as ``settings``."""
        self.settings()
        return {task: self.answered(task) for task in self.trained_tasks()}

    def write_taxonomy(self, taxonomy: Taxonomy) -> None:
        """Write the labels to train for; labels that were added to earlier experts go."""
        self.task(taxonomy.task).mkdir(parents=True, exist_ok=True)
        self.added(taxonomy.task).unlink(missing_ok=True)
        save_taxonomy(taxonomy, self.task(taxonomy.task) / "taxonomy.json")

    def deciding_files(self) -> Iterator[tuple[str, Path]]:
        """Every file of the trained tasks that an answer rests on, by its name in the panel, in a fixed order."""
        yield "settings.json", self.root / "settings.json"
        for task in self.trained_tasks():
            folder = self.task(task)
            files = [folder / "taxonomy.json", *filter(Path.is_file, [self.added(task)]), self.weights(task)]
            for voter in self.settings().panel.voters(task):
                root = self.voter(task, voter)
                inside = (path for path in sorted(root.rglob("*")) if path.is_file())
                files += [path for path in inside if path.relative_to(root).parts[0] not in _DECIDES_NOTHING]
            yield from ((f"{task}/{path.relative_to(folder).as_posix()}", path) for path in files)

    def task(self, task: Task) -> Path:
        """The folder of the task's experts; where a training was killed while it put new ones there, of the old."""
        folder, old = self.root / task, self.replaced(task)
        return folder if folder.exists() or not old.exists() else old

    def beside(self, task: Task) -> "PanelFolder":
        """The panel in which a training of the task builds what then replaces ``root / task``."""
        return PanelFolder(self.root / TRAINING / task)

    def replaced(self, task: Task) -> Path:
        """Where the task's old experts lie while the new ones take their place."""
        return self.root / TRAINING / task / "old"

    def previous(self, task: Task) -> Path:
        """The experts that the task's last training replaced: ``root / previous`` is a panel."""
        return self.root / PREVIOUS / task

    def has(self, task: Task) -> bool:
        """Whether the task is trained: its labels, its fitted vote and every voter's folder are there."""
        needed = (self.task(task) / "taxonomy.json", self.weights(task))
        return all(path.is_file() for path in needed) and all(
            self.voter(task, voter).is_dir() for voter in self.settings().panel.voters(task)
        )

    def trained_tasks(self) -> tuple[Task, ...]:
        """The tasks that the panel answers."""
        return tuple(task for task in TASKS if self.has(task))

    def lock(self, task: Task) -> Path:
        """Held by the process that trains the task."""
        return self.root / f".{task}.lock"

    def added(self, task: Task) -> Path:
        """Labels that were added after training, by examples alone; may be missing."""
        return self.task(task) / "added.json"

    def folds(self, task: Task) -> Path:
        return self.task(task) / "folds.json"

    def pseudo(self, task: Task, fold: int | None) -> Path:
        """Samples with guessed labels that voters learn from besides; may be missing.

        Voters that a fold is kept from learn from guesses that this fold was kept from too; the final ones
        (None) from the whole panel's.
        """
        return self.task(task) / "pseudo" / ("all.json" if fold is None else f"without-fold-{fold}.json")

    def votes(self, task: Task, voter: str) -> Path:
        return self.task(task) / "votes" / f"{voter}.json"

    def weights(self, task: Task) -> Path:
        return self.task(task) / "weights.json"

    def thresholds(self, task: Task) -> Path:
        """From which probability on answers are decided; may be missing, and goes when the vote is fitted again."""
        return self.task(task) / "thresholds.json"

    def card(self, task: Task) -> Path:
        """What the task's experts were trained on, as ``mire.panel_card`` reads it; may be missing."""
        return self.task(task) / "card.json"

    def learning_curve(self, task: Task) -> Path:
        """F1 by the number of examples, as training found it; may be missing."""
        return self.task(task) / "learning_curve.json"

    def voter(self, task: Task, name: str) -> Path:
        return self.task(task) / name

    def fold_voter(self, task: Task, name: str, fold: int) -> Path:
        """The voter that was trained without one fold, where it is kept."""
        return self.voter(task, name) / "folds" / str(fold)

    def seed_voter(self, task: Task, name: str, seed: int) -> Path:
        """One of several final voters that are averaged, where it is kept."""
        return self.voter(task, name) / "seeds" / str(seed)


def _with_all_inside(place: Path) -> Iterator[Path]:
    """The path, then whatever lies under it; links are not followed, and what vanishes meanwhile is left out."""
    yield place
    for folder, folders, files in os.walk(place):
        yield from (Path(folder, name) for name in (*folders, *files))
