"""One worker: it loads a panel once and answers chunks, in this process or in another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ensemble.prediction.workload import Chunk
from mire.budget import Ledger
from mire.labels import Task, Taxonomy
from mire.votes import Prediction

if TYPE_CHECKING:
    from ensemble.panel import Panel


@dataclass(frozen=True)
class KeptAnswer:
    """What the journal keeps of a prediction.

    ``margin`` is the label's probability less that of ``second``, ``familiarity`` and ``probabilities`` are as in
    ``Prediction``. Without any vote (``voted``) the label says nothing, and the reason may be gone in the next run.
    """

    label: str
    problems: tuple[str, ...]
    n_calls: int
    n_output_tokens: int
    margin: float
    probability: float
    second: str
    voted: bool = True
    familiarity: float | None = None
    probabilities: tuple[float, ...] = ()

    @classmethod
    def of(cls, prediction: Prediction, taxonomy: Taxonomy) -> "KeptAnswer":
        (_, first), (runner_up, second) = taxonomy.top(prediction.probabilities, 2)
        return cls(
            label=prediction.label,
            problems=prediction.problems,
            n_calls=prediction.n_calls,
            n_output_tokens=prediction.n_output_tokens,
            margin=first - second,
            probability=first,
            second=runner_up.name,
            voted=bool(prediction.votes),
            familiarity=prediction.familiarity,
            probabilities=prediction.probabilities,
        )


@dataclass(frozen=True)
class Answered:
    """A chunk's answers by sample id, and the seconds that each voter took, by task and name."""

    answers: Mapping[str, KeptAnswer]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Loaded:
    """What a worker has loaded: neural parameters by part, the device they lie on, and the panel's fingerprint."""

    parameters: Mapping[str, int]
    device: str
    panel: str


@dataclass(frozen=True)
class Job:
    """What a worker needs: the panel's folder, the tasks whose experts are loaded, the overrides of its settings."""

    panel: Path
    tasks: tuple[Task, ...]
    overrides: tuple[str, ...] = ()

    def worker(self) -> "Worker":
        """Load the panel.

        Raises:
            MireError: as ``Panel.load``.
        """
        # Late, so that a process can choose its device and its threads before a library sees them.
        from ensemble.panel import Panel

        return Worker(Panel.load(self.panel, self.tasks, self.overrides))


class Worker:
    """Answers chunks with a loaded panel."""

    def __init__(self, panel: "Panel") -> None:
        self._panel = panel

    @property
    def loaded(self) -> Loaded:
        from ensemble.prediction.digest import device

        panel = self._panel
        return Loaded(dict(panel.parameters.parts), device(panel.settings), panel.fingerprint)

    def answer(self, chunk: Chunk) -> Answered:
        """Answer a chunk; what a voter fails on is answered by the others and marked.

        Raises:
            MireError: as ``TaskPanel.predict``.
        """
        # One ledger per chunk: a chunk that is done again in place of a lost one is booked once.
        ledger = Ledger()
        part = self._panel.tasks[chunk.task]
        predictions = part.predict(chunk.samples, ledger)
        answers = {found.sample_id: KeptAnswer.of(found, part.taxonomy) for found in predictions}
        return Answered(answers, dict(ledger.seconds))
