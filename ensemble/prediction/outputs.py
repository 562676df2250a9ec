"""Where a prediction writes: the CSV, its report, its journal, the probabilities, checked before work starts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ensemble.prediction.submission import STDOUT
from mire.errors import DataError
from mire.images import picture_problem
from mire.journal import Journal
from mire.labels import TASKS
from mire.panel_folder import PREVIOUS, TRAINING
from mire.plain_files import writable_file

_OF_A_PANEL = (*TASKS, TRAINING, PREVIOUS, "settings.json")


@dataclass(frozen=True)
class Outputs:
    """The CSV (``STDOUT`` for standard output) and the files beside it; None for one that is not kept."""

    csv: Path
    report: Path | None
    journal: Path | None
    probabilities: Path | None = None

    @classmethod
    def named(
        cls, csv: Path, report: Path | None = None, journal: Path | None = None, probabilities: Path | None = None
    ) -> "Outputs":
        """Report and journal lie beside the CSV unless they are named; beside standard output there is nothing."""
        if csv != STDOUT:
            report = report or csv.with_suffix(".report.json")
            journal = journal or csv.with_name(f"{csv.name}.journal")
        return cls(csv, report, journal, probabilities)

    def check(self, data: Path, images: Path, panel: Path) -> None:
        """Refuse to write what is no plain file, or over something that is read.

        Raises:
            DataError: names the file and what it is.
        """
        targets: list[Path] = []
        for path in (self.csv, self.report, self.journal, self.probabilities):
            if path is None or path == STDOUT:
                continue
            target = writable_file(path).absolute()
            if what := _read_file(target, data, images, panel) or ("another output" if target in targets else None):
                raise DataError(f"{path} would be overwritten, but it is {what}; name another file to write")
            targets.append(target)

    @contextmanager
    def opened_journal(self) -> Iterator[Journal]:
        """The journal, this process's alone; without a name it vanishes with the run."""
        with tempfile.TemporaryDirectory(prefix="mire-journal-") as folder:
            journal = Journal(self.journal or Path(folder) / "journal")
            with journal.opened():
                yield journal


def _read_file(target: Path, data: Path, images: Path, panel: Path) -> str | None:
    """What the run reads at this place, in words; None for nothing."""
    if target.exists() and data.exists() and target.samefile(data):
        return f"the data file {data}"
    place = target.resolve()
    if place.is_relative_to(panel.resolve()):
        part = place.relative_to(panel.resolve()).parts[:1]
        return f"a file of the panel {panel}" if part and part[0] in _OF_A_PANEL else None
    if target.exists() and place.is_relative_to(images.resolve()) and picture_problem(target) is None:
        return f"a picture of {images}"
    return None
