"""A trained panel: one shared base, the voters of each task, the fitted vote, the budgets."""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ensemble.classify import Classification, Question, classification
from ensemble.decisions.threshold_file import TaskThresholds, read_thresholds
from ensemble.voting.pooling import Array, winners
from ensemble.voting.weights import Weights, as_array, read_weights
from experts.registry import VOTERS, check_voter, load_base, load_voter
from experts.voter import Follower, Voter
from mire.budget import Ledger, ParameterCount
from mire.errors import MireError, PanelError
from mire.images import NO_PICTURE, load_or_fallback
from mire.labels import Task, Taxonomy
from mire.panel_card import fingerprint
from mire.panel_folder import PanelFolder
from mire.privacy.masking import mask
from mire.prompts import Speaker
from mire.samples import Sample
from mire.settings import Settings
from mire.votes import Prediction, Vote
from router.route import BUILTIN, route

logger = logging.getLogger(__name__)

MAX_FAILED = 8
"""On so many samples of one chunk a voter may fail: more means that the voter is broken, not the samples."""
_DEVICE_ERRORS = ("OutOfMemoryError", "AcceleratorError")
"""torch's errors of the whole device, whatever the sample; by name, so that torch is not imported to catch them."""

Votes = dict[str, list[Vote | None]]
"""For each voter one vote per sample, in the samples' order; None where it abstained."""


@dataclass(frozen=True)
class TaskPanel:
    """The voters of one task, how their votes are pooled, and from which probability on an answer is decided.

    ``taxonomy`` holds every label that is answered; a voter that does not grow knows those it was trained for.
    """

    taxonomy: Taxonomy
    voters: tuple[Voter, ...]
    weights: Weights
    thresholds: TaskThresholds | None = None

    def predict(self, samples: Sequence[Sample], ledger: Ledger) -> list[Prediction]:
        """One prediction per sample of this task, in order.

        Raises:
            BudgetError: as ``cast``.
        """
        votes = self.cast(samples, ledger)
        pooled = pool(votes, self.weights, len(self.taxonomy.labels))
        return [
            self._prediction(sample, {name: votes[name][row] for name in votes}, pooled[row], ledger)
            for row, sample in enumerate(samples)
        ]

    def _prediction(
        self, sample: Sample, votes: Mapping[str, Vote | None], pooled: Array, ledger: Ledger
    ) -> Prediction:
        """The prediction of one sample from its votes and their pooled distribution, (n_labels,)."""
        cast = [vote.of_labels(len(self.taxonomy.labels)) for vote in votes.values() if vote]
        failed = ledger.failed.get(sample.id, {})
        silent = {name: failed.get(name, f"{name} abstained") for name, vote in votes.items() if not vote}
        booked = ledger.booked(sample.id)
        evidence = {vote.voter: vote.evidence for vote in cast if vote.evidence is not None}
        return Prediction(
            sample_id=sample.id,
            task=self.taxonomy.task,
            label=self.taxonomy.labels[int(winners(pooled))],
            probabilities=tuple(map(float, pooled)),
            votes=tuple(cast),
            problems=_problems(sample, self.taxonomy.task, silent, cast),
            n_calls=booked.calls,
            n_output_tokens=booked.output_tokens,
            familiarity=self.weights.familiarity(evidence),
        )

    def cast(self, samples: Sequence[Sample], ledger: Ledger) -> Votes:
        """Every voter's votes on the labels that it knows; each is booked for every sample before the voter runs.

        Raises:
            BudgetError: a vote would break the limit of calls or tokens; that voter has not run then.
        """
        votes: Votes = {}
        for voter in self.voters:
            for sample in samples:
                ledger.book(sample.id, voter.name, voter.cost)
            started = time.monotonic()
            failed: dict[str, str] = {}
            votes[voter.name] = _vote(ready(voter, votes), samples, failed)
            for sample_id, reason in failed.items():
                ledger.failed[sample_id][voter.name] = reason
                logger.info(f"sample {sample_id!r}: {reason}")
            ledger.seconds[f"{self.taxonomy.task} {voter.name}"] += time.monotonic() - started
        return votes


def ready(voter: Voter, votes: Votes) -> Voter:
    """The voter as it is asked; one that follows another gets its votes, which must be there."""
    return voter.after(votes[voter.leader]) if isinstance(voter, Follower) else voter


def _vote(voter: Voter, samples: Sequence[Sample], failed: dict[str, str]) -> list[Vote | None]:
    """The voter's votes; a sample on which it fails is found by halving, gets none, and its reason in ``failed``.

    Raises:
        OSError, ImportError, MemoryError: a fault of the machine, which follows no sample: a folder that cannot be
            written, a missing library.
        Exception: it fails on more than ``MAX_FAILED`` samples: then they are not the reason.
    """
    try:
        return voter.vote(samples)
    except (MireError, MemoryError, OSError, ImportError):
        raise
    except Exception as error:
        if type(error).__name__ in _DEVICE_ERRORS or len(failed) >= MAX_FAILED:
            raise
        if len(samples) == 1:
            failed[samples[0].id] = f"{voter.name} failed: {type(error).__name__}: {mask(_first_line(error))}"
            return [None]
    middle = len(samples) // 2
    return _vote(voter, samples[:middle], failed) + _vote(voter, samples[middle:], failed)


def pool(votes: Votes, weights: Weights, n_labels: int) -> Array:
    """One distribution per sample, (n, n_labels); weights of voters that abstained go to the others.

    A sample without any vote gets equal probabilities; a label that no vote knows gets none.
    """
    n_samples = len(next(iter(votes.values())))
    pooled = np.full((n_samples, n_labels), 1 / n_labels)
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in range(n_samples):
        rows[tuple(name for name in votes if votes[name][row])].append(row)
    for names, members in rows.items():
        if names:
            known = weights.pool({name: _stack(votes[name], members) for name in names})
            pooled[members] = np.pad(known, ((0, 0), (0, n_labels - known.shape[1])))
    return pooled


@dataclass(frozen=True)
class Panel:
    """Everything a prediction needs, loaded; ``fingerprint`` is that of the folder it was loaded from."""

    settings: Settings
    tasks: dict[Task, TaskPanel]
    parameters: ParameterCount
    fingerprint: str = ""

    @property
    def taxonomies(self) -> dict[Task, Taxonomy]:
        """The labels of each loaded task."""
        return {task: part.taxonomy for task, part in self.tasks.items()}

    @classmethod
    def load(cls, root: str | Path, tasks: Iterable[Task] | None = None, overrides: tuple[str, ...] = ()) -> "Panel":
        """Load the experts of ``tasks`` (None: all that are trained); what a voter's tasks share is loaded once.

        ``overrides`` are those of ``PanelFolder``.

        Raises:
            SettingsError: an override is refused.
            PanelError: the folder is no panel, lacks a task's experts, holds a pickle, a file in it is damaged, or it
                changes meanwhile.
            BudgetError: the models together have too many parameters.
        """
        folder = PanelFolder(Path(root), overrides)
        settings = folder.settings()
        folder.check_no_pickle()
        tasks = folder.trained_tasks() if tasks is None else tuple(tasks)
        if not tasks:
            raise PanelError(f"{root} holds no experts; train them: mire train all --panel {root}")
        for task in tasks:
            for name in settings.panel.voters(task):
                check_voter(name, folder.voter(task, name), settings)
        loading = fingerprint(folder)
        names = dict.fromkeys(name for task in tasks for name in settings.panel.voters(task))
        bases = {name: load_base(name, settings) for name in names}
        loaded: dict[Task, TaskPanel] = {}
        for task in tasks:
            taxonomy, trained = folder.answered(task), folder.taxonomy(task)
            voters = tuple(
                load_sound_voter(
                    name,
                    folder.voter(task, name),
                    taxonomy=taxonomy if VOTERS[name].grows else trained,
                    settings=settings,
                    base=bases[name],
                )
                for name in settings.panel.voters(task)
            )
            loaded[task] = TaskPanel(
                taxonomy, voters, read_weights(folder.weights(task)), read_thresholds(folder, task)
            )
        parts = {part: n for panel in loaded.values() for voter in panel.voters for part, n in voter.parameters.items()}
        count = ParameterCount(parts)
        count.check()
        if fingerprint(folder) != loading:
            raise PanelError(f"{root} was replaced while it was loaded; run the same command again")
        return cls(settings, loaded, count, loading)

    def predict(self, samples: Sequence[Sample], ledger: Ledger) -> list[Prediction]:
        """Route samples and answer them task by task; one prediction per sample, in order.

        Raises:
            PanelError: a sample belongs to a task whose experts are not loaded.
            BudgetError: as ``TaskPanel.cast``.
        """
        predictions: dict[str, Prediction] = {}
        for task, members in by_task(samples, self.taxonomies).items():
            if task not in self.tasks:
                raise PanelError(
                    f"the panel has no {task} experts, but sample {members[0].id!r} is a {task} sample; train them: "
                    f"mire train {task}, or leave such samples out"
                )
            predictions |= {found.sample_id: found for found in self.tasks[task].predict(members, ledger)}
        return [predictions[sample.id] for sample in samples]

    def classify(
        self,
        *,
        image: str | Path | None = None,
        dialogue: Sequence[tuple[Speaker, str]] = (),
        prompt: str | None = None,
        images: Sequence[str | Path] = (),
    ) -> Classification:
        """Answer one question, given as ``Question``'s fields; raises as ``classify_many``."""
        (answer,) = self.classify_many([Question(image=image, dialogue=dialogue, prompt=prompt, images=images)])
        return answer

    def classify_many(self, questions: Sequence[Question | Sample]) -> list[Classification]:
        """One answer per question, in order; samples of a data file may stand among them. Their ids may repeat.

        Raises:
            DataError: a question cannot be asked, or its picture cannot be read.
            PanelError, BudgetError: as ``predict``.
        """
        samples = [replace(self.sample(asked), id=str(number)) for number, asked in enumerate(questions)]
        predictions = self.predict(samples, Ledger())
        return [
            classification(found, route(sample.prompt, self.taxonomies), part.taxonomy, part.weights)
            for sample, found in zip(samples, predictions, strict=True)
            for part in [self.tasks[found.task]]
        ]

    def sample(self, question: Question | Sample) -> Sample:
        """The question in the challenge's frame with this panel's labels; raises as ``Question.sample``."""
        if isinstance(question, Sample):
            return question
        return question.sample(self.taxonomies, max_decoded_pixels=self.settings.max_decoded_pixels)


def load_sound_voter(name: str, folder: Path, **needs: Any) -> Voter:
    """A voter; what its libraries make of a missing or damaged file becomes one line."""
    try:
        return load_voter(name, folder, **needs)
    except (MireError, MemoryError):
        raise
    except Exception as error:
        if library := _missing_library(error):
            raise PanelError(f"{name} cannot run on this machine: {library}; install it, the panel is sound") from error
        raise PanelError(
            f"{folder} cannot be read: {_first_line(error)}; copy the panel again, or train {name!r} again"
        ) from error


def _missing_library(error: Exception) -> str | None:
    """What the loader of libraries says of one that it does not find; None for any other error."""
    text = _first_line(error)
    loading = isinstance(error, ImportError) or "cannot open shared object file" in text
    return text if loading else None


def by_task(samples: Sequence[Sample], taxonomies: Mapping[Task, Taxonomy] = BUILTIN) -> dict[Task, list[Sample]]:
    """Samples by the router's task, in order; ``taxonomies`` as in ``route``."""
    groups: dict[Task, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(route(sample.prompt, taxonomies).task, []).append(sample)
    return groups


def _problems(sample: Sample, task: Task, silent: Mapping[str, str], votes: Collection[Vote]) -> tuple[str, ...]:
    """Why an answer is degraded, each reason once; empty where it is not. ``silent`` says why voters gave no vote."""
    reasons = list(sample.problems)
    if task == "image" and not sample.images:
        reasons.append("there is no picture")
    if task == "dialogue" and not any(turn.text.strip() for turn in sample.turns):
        reasons.append("the dialogue is empty")
    if silent:
        # A voter that abstains does not say why; of its reasons only this one is not in the sample.
        reasons += [problem for path in sample.images if (problem := load_or_fallback(path)[1]) and path != NO_PICTURE]
        reasons += silent.values()
    reasons += [problem for vote in votes for problem in vote.problems]
    if not votes:
        reasons.append("no voter voted: the label is the first of the list")
    return tuple(dict.fromkeys(reasons))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _stack(votes: Sequence[Vote | None], rows: Sequence[int]) -> Array:
    return as_array([vote.probabilities for row in rows if (vote := votes[row])])
