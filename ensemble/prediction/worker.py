"""One worker: it loads a panel once and answers chunks, in this process or in another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mire.budget import Ledger
from mire.labels import Task
from mire.samples import Sample
from mire.votes import Prediction

if TYPE_CHECKING:
    from ensemble.panel import Panel


@dataclass(frozen=True)
class Answer:
    """What is kept of a prediction. ``margin`` is how far the label's probability is ahead of the next one's."""

    label: str
    problems: tuple[str, ...]
    n_calls: int
    n_output_tokens: int
    margin: float

    @classmethod
    def of(cls, prediction: Prediction) -> "Answer":
        first, second = sorted(prediction.probabilities, reverse=True)[:2]
        return cls(
            label=prediction.label,
            problems=prediction.problems,
            n_calls=prediction.n_calls,
            n_output_tokens=prediction.n_output_tokens,
            margin=first - second,
        )


@dataclass(frozen=True)
class Answered:
    """A chunk's answers by sample id, and the seconds that each voter took, by task and name."""

    answers: Mapping[str, Answer]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Loaded:
    """What a worker says once its panel is loaded: neural parameters by part, and the device they lie on."""

    parameters: Mapping[str, int]
    device: str


@dataclass(frozen=True)
class Job:
    """What a worker has to know: where the panel lies, and the tasks whose experts are needed."""

    panel: Path
    tasks: tuple[Task, ...]

    def worker(self) -> "Worker":
        """Load the panel.

        Raises:
            MireError: as ``Panel.load``.
        """
        # Late, so that a process can choose its device and its threads before a library sees them.
        from ensemble.panel import Panel

        return Worker(Panel.load(self.panel, self.tasks))


class Worker:
    """Answers chunks with a loaded panel."""

    def __init__(self, panel: "Panel") -> None:
        self._panel = panel

    @property
    def loaded(self) -> Loaded:
        from ensemble.prediction.digest import device

        return Loaded(dict(self._panel.parameters.parts), device(self._panel.settings))

    def answer(self, samples: Sequence[Sample]) -> Answered:
        """Answer samples; what a voter fails on is answered by the others and marked.

        Raises:
            MireError: as ``Panel.predict``.
        """
        # One ledger a chunk: a chunk that is done again in place of a lost one is booked once.
        ledger = Ledger()
        answers = {found.sample_id: Answer.of(found) for found in self._panel.predict(samples, ledger)}
        return Answered(answers, dict(ledger.seconds))
