"""What an ablation found: the models behind the report, and ``ablation.json`` is their dump."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ensemble.decisions.threshold_file import TaskThresholds
from ensemble.voting.weights import Weights
from mire.labels import Task
from mire.metrics import Interval, wilson
from mire.privacy.pictures import Corners


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SubsetFigures(_Model):
    """Some voters of one task, scored on their common answer; every further metric of ``METRICS`` is an extra field."""

    model_config = ConfigDict(frozen=True, extra="allow")

    # names, in the panel's order
    voters: tuple[str, ...]
    # samples
    n: int
    # weighted by the labels' frequency, as the challenge scores; all scores in [0, 1]
    f1: float
    # the plain mean over the labels
    macro_f1: float
    accuracy: float
    precision: float
    recall: float
    # 95 % bootstrap interval of f1
    low: float
    high: float
    # per sample: model calls, output tokens, and milliseconds on the machine that trained (None: not measured)
    calls: int
    output_tokens: int
    milliseconds: float | None


class SubsetResult(SubsetFigures):
    """A subset's figures beside the panel's."""

    # paired 95 % interval of f1 less the panel's
    versus_panel: Interval


class Contribution(_Model):
    """What one voter changes."""

    voter: str
    # weighted F1 after the change
    f1: float
    # f1 less that before the change
    change: float
    # paired 95 % interval of the change
    low: float
    high: float


class Contributions(_Model):
    """What each voter of a task is worth."""

    # the panel against the panel without the voter; f1 and change are the panel's. Empty for a single voter
    left_out: tuple[Contribution, ...]
    # the voters by their own F1, each added to those before it; the first to none
    added: tuple[Contribution, ...]


class Bin(_Model):
    """Answers whose confidence lies in (low, high]."""

    low: float
    high: float
    # answers in the bin
    n: int
    # their mean confidence, and the share of them that is right
    confidence: float
    accuracy: float


class ErrorByChance(_Model):
    """The calibration error that a perfectly calibrated panel would show on as many answers."""

    # in [0, 1]: the mean, and what it exceeds in one of twenty cases
    mean: float
    high: float


class Calibration(_Model):
    """Whether the panel's probabilities can be believed, before its temperatures and after."""

    # expected calibration error, in [0, 1]
    error_before: float
    error_after: float
    # of probabilities like these after the temperatures, if they were exact
    error_by_chance: ErrorByChance
    # bins of equal width, empty ones left out
    before: tuple[Bin, ...]
    after: tuple[Bin, ...]
    # pairs (share of samples that is answered, accuracy on them), the most confident answers first
    coverage: tuple[tuple[float, float], ...]


class LabelFigures(_Model):
    """One label of the taxonomy."""

    name: str
    # what it means in English
    gloss: str
    # samples with this label
    n: int
    f1: float


class Mistake(_Model):
    """A wrong answer, with what is known of its reasons."""

    # the sample's id, its label, and the panel's answer with its probability
    id: str
    label: str
    predict: str
    probability: float
    # paths of its pictures, and per picture the parts to fill as shares (left, top, right, bottom) of its size; None
    # for a picture that no voter reads: it is shown too small to read
    images: tuple[str, ...]
    hidden: tuple[tuple[Corners, ...] | None, ...]
    # pairs (speaker, text), like all text here with private parts masked unless it was asked for
    turns: tuple[tuple[str, str], ...]
    # by voter the most probable labels with their probabilities; empty where it abstained
    votes: dict[str, tuple[tuple[str, float], ...]]
    # by voter the words that decided, with what each adds to the label's logit; fresh votes only
    words: dict[str, tuple[tuple[str, float], ...]]
    # lines of text in the first picture
    read: tuple[str, ...]


class ShareFigures(_Model):
    """A share of a task's samples (0 to 1) with its 95 % interval."""

    share: float
    low: float
    high: float


class CurvePoint(_Model):
    """The text voters, trained on so many examples of every label."""

    # the most examples of a label; None: all that there are
    most: int | None
    # weighted F1 with its 95 % bootstrap interval
    f1: float
    low: float
    high: float
    # paired 95 % interval of f1 less that of the point before; None for the first
    versus_before: Interval | None


class ExamplesFigures(_Model):
    """A label by its examples."""

    name: str
    # training samples with this label
    n: int
    # of the text voters, trained on all others; None without an example
    f1: float | None

    @property
    def need(self) -> float:
        """What a further example would add to f1, up to a factor, if a label's errors fall as a power of its examples.

        The power is taken to be the same for all labels; then the slope is in proportion to the errors per example.
        """
        return float("inf") if self.f1 is None else (1 - self.f1) / self.n


class LearningCurve(_Model):
    """F1 against the number of examples per label, from nested draws of the training samples."""

    # the panel's voters that train fast, pooled with equal weights
    voters: tuple[str, ...]
    # held-out samples that each point is scored on
    n: int
    # from few examples to all
    points: tuple[CurvePoint, ...]
    # in the taxonomy's order
    labels: tuple[ExamplesFigures, ...]


class TaskResult(_Model):
    """The ablation of one task."""

    # samples
    n: int
    # votes by voters that were trained without the sample's fold, or by the final ones on samples that are new to them
    votes: Literal["out_of_fold", "fresh"]
    # each voter, each pair, and all voters
    systems: tuple[SubsetResult, ...]
    calibration: Calibration
    # of all voters; one per part of a cross-fit for out-of-fold votes, else one
    weights: tuple[Weights, ...]
    # in the taxonomy's order
    labels: tuple[LabelFigures, ...]
    # [right label][answer], counts in the taxonomy's order
    confusion: tuple[tuple[int, ...], ...]
    # the most confident first
    mistakes: tuple[Mistake, ...]
    contributions: Contributions
    # what could be answered without a person on these samples, one entry per precision
    thresholds: tuple[TaskThresholds, ...] = ()
    # samples taken for unlike anything seen; None where the panel cannot tell
    unlike: ShareFigures | None = None
    # of training; None where it was not drawn
    learning: LearningCurve | None = None
    # labels whose names and descriptions read alike, with their cosine; only where a voter learns from them
    alike: tuple[tuple[str, str, float], ...] = ()

    @property
    def panel(self) -> SubsetResult:
        """The figures of all voters together."""
        return max(self.systems, key=lambda system: len(system.voters))

    @property
    def best_voter(self) -> SubsetResult:
        """The figures of the voter that is best alone."""
        return max((system for system in self.systems if len(system.voters) == 1), key=lambda system: system.f1)


class MeanFigures(_Model):
    """The mean of both tasks."""

    # "panel", or a voter that answers both tasks
    name: str
    # samples of both tasks
    n: int
    # mean of both weighted F1, with its 95 % bootstrap interval
    f1: float
    low: float
    high: float
    # per sample, where half of the samples belong to either task
    calls: float
    output_tokens: float
    milliseconds: float | None


class RouterFigures(_Model):
    """Whether samples went to the task of their label."""

    # [the label's task][the router's task], counts
    counts: dict[Task, dict[Task, int]]
    # ids of samples that went to the other task; they count nowhere else
    misrouted: tuple[str, ...]

    @property
    def n(self) -> int:
        """Routed samples."""
        return sum(sum(row.values()) for row in self.counts.values())

    @property
    def right(self) -> Interval:
        """Wilson's 95 % interval of the share that went to the right task."""
        return wilson(self.n - len(self.misrouted), self.n)


class AblationResult(_Model):
    """What each voter adds, by task and as the mean."""

    # the name of the panel's settings
    configuration: str
    router: RouterFigures
    # empty unless both tasks have samples
    mean: tuple[MeanFigures, ...]
    tasks: dict[Task, TaskResult]
