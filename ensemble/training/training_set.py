"""The labelled samples of one task, and the training and held-out samples of each fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble.training.few_samples import too_few
from mire.folds import make_folds, read_folds, write_folds
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Settings


@dataclass(frozen=True)
class TrainingSet:
    """Samples of a file, their folds (0 to settings.folds - 1, by id), and the panel being trained.

    Where there are too few to hold any out, all are of one fold, and no out-of-fold votes are cast.
    """

    task: Task
    samples: Sequence[Sample]
    folds: Mapping[str, int]
    data: Path | None
    images: Path
    panel: PanelFolder
    settings: Settings

    @property
    def divided(self) -> bool:
        """Whether samples can be held out."""
        return len(set(self.folds.values())) > 1

    @classmethod
    def divide(
        cls, task: Task, samples: Sequence[Sample], *, data: Path | None, images: Path, panel: PanelFolder
    ) -> "TrainingSet":
        """Make the folds, and write them and the labels into the panel folder.

        Raises:
            DataError: as ``make_folds``; then nothing is written.
        """
        settings = panel.settings()
        if too_few(samples, settings, task):
            folds = dict.fromkeys((sample.id for sample in samples), 0)
        else:
            folds = make_folds(samples, n_folds=settings.folds, seed=settings.seed)
        panel.write_taxonomy(settings.taxonomy(task))
        write_folds(folds, samples, panel.folds(task))
        return cls(task, samples, folds, data, images, panel, settings)

    @classmethod
    def known(
        cls, task: Task, samples: Sequence[Sample], *, data: Path, images: Path, panel: PanelFolder
    ) -> "TrainingSet":
        """The samples and folds that a panel was trained on."""
        folds = read_folds(panel.folds(task))
        members = [sample for sample in samples if sample.id in folds]
        return cls(task, members, folds, data, images, panel, panel.settings())

    def inside(self, fold: int | None) -> list[Sample]:
        """Training samples without ``fold`` (None: all samples): labelled ones, then pseudo-labelled ones."""
        path = self.panel.pseudo(self.task, fold)
        guessed = self.panel.read_samples(path, self.images) if path.is_file() else []
        return [sample for sample in self.samples if self.folds[sample.id] != fold] + guessed

    def outside(self, fold: int) -> list[Sample]:
        """The held-out samples of a fold."""
        return [sample for sample in self.samples if self.folds[sample.id] == fold]
