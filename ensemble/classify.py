"""Ask a panel from Python: a question becomes a sample, a prediction becomes a typed answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from ensemble.voting.weights import Weights
from mire.budget import Cost
from mire.errors import DataError, PanelError
from mire.images import MAX_DECODED_PIXELS, picture_problem
from mire.labels import Task, Taxonomy
from mire.prompts import (
    DIALOGUE_END,
    IMAGE_TAG,
    OFFICIAL_DIALOGUE_HEAD,
    OFFICIAL_IMAGE_HEAD,
    Prompt,
    Speaker,
    Turn,
    framed_dialogue,
    parse_prompt,
)
from mire.samples import Sample
from mire.votes import Prediction

if TYPE_CHECKING:
    from router.route import Route

_ASK = "请直接只输出分类标签结果，不需要其他多余的话。以下是可以参考的分类标签为："


@dataclass(frozen=True)
class Question:
    """What is asked: one picture alone, a dialogue with its pictures, or a whole prompt with its pictures.

    ``dialogue`` holds (speaker, text) per turn, the speaker ``"user"`` or ``"agent"``; ``<image>`` in a text
    stands where a picture was sent. ``images`` are the pictures' files in the order of the ``<image>`` tags.
    """

    image: str | Path | None = None
    dialogue: Sequence[tuple[Speaker, str]] = ()
    prompt: str | None = None
    images: Sequence[str | Path] = ()

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The files of ``image`` and ``images``."""
        return tuple(map(Path, (*(() if self.image is None else (self.image,)), *self.images)))

    def sample(
        self, taxonomies: Mapping[Task, Taxonomy], *, max_decoded_pixels: int = MAX_DECODED_PIXELS, id: str = "question"
    ) -> Sample:
        """The sample: the challenge's prompt around the question, with the labels of ``taxonomies``.

        Raises:
            DataError: nothing or two things are asked, a speaker is unknown, ``<image>`` tags and pictures do not
                match, or a picture cannot be read.
            PanelError: no taxonomy for the task.
        """
        prompt = self._prompt(taxonomies)
        if prompt.n_images != len(self.pictures):
            raise DataError(
                f"every {IMAGE_TAG} needs its picture, got {prompt.n_images} tags and {len(self.pictures)} pictures"
            )
        for path in self.pictures:
            if problem := picture_problem(path, max_decoded_pixels=max_decoded_pixels):
                raise DataError(problem)
        return Sample(id=id, prompt=prompt, images=self.pictures)

    def _prompt(self, taxonomies: Mapping[Task, Taxonomy]) -> Prompt:
        asked = bool(self.prompt and self.prompt.strip())
        spoken = any(text.strip() for _, text in self.dialogue)
        if asked and self.dialogue:
            raise DataError("give a prompt or a dialogue, not both")
        if asked:
            return parse_prompt(str(self.prompt))
        if spoken:
            return dialogue_prompt(_turns(self.dialogue), _printed("dialogue", taxonomies))
        if len(self.pictures) == 1:
            return parse_prompt(f"{OFFICIAL_IMAGE_HEAD}，{_label_list(_printed('image', taxonomies))}")
        raise DataError("nothing to classify: send one picture, a dialogue, or a prompt")


def dialogue_prompt(turns: Sequence[Turn], labels: Sequence[str]) -> Prompt:
    """The official frame around turns. It is put together, not parsed: no words of a turn can open another."""
    after = f"\n{_label_list(labels)}"
    return Prompt(framed_dialogue(turns) + after, OFFICIAL_DIALOGUE_HEAD, tuple(turns), DIALOGUE_END + after)


def _turns(dialogue: Sequence[tuple[Speaker, str]]) -> list[Turn]:
    for speaker, _ in dialogue:
        if speaker not in get_args(Speaker):
            raise DataError(f"a speaker must be 'user' or 'agent', got {speaker!r}")
    return [Turn(speaker, text) for speaker, text in dialogue]


def _printed(task: Task, taxonomies: Mapping[Task, Taxonomy]) -> tuple[str, ...]:
    if task not in taxonomies:
        raise PanelError(f"this panel has no {task} experts")
    return taxonomies[task].printed


def _label_list(labels: Sequence[str]) -> str:
    return f"{_ASK}{json.dumps(labels, ensure_ascii=False, separators=(',', ':'))}\n"


@dataclass(frozen=True)
class VoterAnswer:
    """One voter's part: its share of the vote, and its probability per label; empty where it abstained."""

    name: str
    weight: float
    distribution: Mapping[str, float]


@dataclass(frozen=True)
class Classification:
    """The panel's answer to one question.

    ``probability`` (0 to 1) is the label's own; ``distribution`` holds the probability of each live label, in the
    taxonomy's order, and sums to 1. ``problems`` says why the answer is degraded; empty if it is not. ``booked`` is
    what the ledger booked for the sample: calls and output tokens. ``familiarity`` is as ``Weights.familiarity``;
    ``input_tokens`` are those of the prompts that voters scored.
    """

    label: str
    probability: float
    distribution: Mapping[str, float]
    voters: tuple[VoterAnswer, ...]
    route: "Route"
    problems: tuple[str, ...]
    booked: Cost
    familiarity: float | None = None
    input_tokens: int = 0

    @property
    def task(self) -> Task:
        return self.route.task


def classification(prediction: Prediction, route: "Route", taxonomy: Taxonomy, weights: Weights) -> Classification:
    """The answer that a prediction holds."""
    votes = {vote.voter: vote.probabilities for vote in prediction.votes}
    distribution = _by_label(taxonomy, prediction.probabilities)
    return Classification(
        label=prediction.label,
        probability=distribution[prediction.label],
        distribution=distribution,
        voters=tuple(
            VoterAnswer(name, voter.weight, _by_label(taxonomy, votes.get(name, ())))
            for name, voter in weights.voters.items()
        ),
        route=route,
        problems=prediction.problems,
        booked=Cost(prediction.n_calls, prediction.n_output_tokens),
        familiarity=prediction.familiarity,
        input_tokens=sum(vote.n_prompt_tokens for vote in prediction.votes),
    )


def _by_label(taxonomy: Taxonomy, probabilities: Sequence[float]) -> Mapping[str, float]:
    return MappingProxyType(dict(zip(taxonomy.labels, probabilities, strict=False)))
