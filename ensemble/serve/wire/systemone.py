"""``POST /v1/systemone``: its bodies, and its questions as ours."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ensemble.serve.limits import Limits
from ensemble.serve.wire.asked import MAX_OPTIONS, MAX_QUESTIONS, MIN_OPTIONS, Asked, confidence
from ensemble.serve.wire.content import Content, read_messages, read_text, words_of
from ensemble.serve.wire.decided import Answered, Decided


class NoulQuestion(BaseModel):
    """How probable is the label that the instructions name, or the criterion of "true"?"""

    type: Literal["noul"]
    instructions: Any = None
    criteria: Any = None


class ChoiceQuestion(BaseModel):
    """Which of these labels? Options are names or glosses, or their descriptions are."""

    type: Literal["choice"]
    instructions: Any = None
    criteria: dict[str, Any] = Field(min_length=MIN_OPTIONS, max_length=MAX_OPTIONS)


class ScoreQuestion(BaseModel):
    """Refused: a panel has labels, no levels."""

    type: Literal["score"]
    instructions: Any = None


class SystemOneIn(BaseModel):
    """A text, messages or any JSON, and questions on it by name. `model` may be any name: there is one panel."""

    model: str | None = None
    state: str | dict[str, Any] | list[Any]
    questions: dict[str, Annotated[NoulQuestion | ChoiceQuestion | ScoreQuestion, Field(discriminator="type")]] = Field(
        min_length=1, max_length=MAX_QUESTIONS
    )

    def content(self, limits: Limits) -> Content:
        if isinstance(self.state, list) and all(isinstance(part, dict) and "role" in part for part in self.state):
            return read_messages(self.state)
        return read_text(words_of(self.state), limits)

    def asked(self) -> list[Asked]:
        return [_asked(question, name) for name, question in self.questions.items()]

    def names(self) -> list[str | None]:
        return list(self.questions)


class NoulAnswer(BaseModel):
    """The label's probability among all labels of its task."""

    type: Literal["noul"] = "noul"
    noul: float


class ChoiceAnswer(BaseModel):
    """The most probable option; the probabilities sum to 1 over the question's options."""

    type: Literal["choice"] = "choice"
    choice: str
    confidence: float
    probabilities: dict[str, float]


class Usage(BaseModel):
    """Tokens of the prompts that language models read, and those that the budget booked for answers."""

    input_tokens: int
    output_tokens: int


class SystemOneOut(BaseModel):
    """Answers by name, without those on which no expert could say anything."""

    model: str
    answers: dict[str, Annotated[NoulAnswer | ChoiceAnswer, Field(discriminator="type")]]
    usage: Usage


def response(decided: Decided, model: str) -> SystemOneOut:
    """The answers as this format has them."""
    return SystemOneOut(
        model=model,
        answers={str(name): _answer(answer) for name, answer in decided.answers if answer is not None},
        usage=Usage(input_tokens=decided.input_tokens, output_tokens=decided.output_tokens),
    )


def _asked(question: NoulQuestion | ChoiceQuestion | ScoreQuestion, name: str) -> Asked:
    where, instructions = f"question {name!r}"[:80], words_of(question.instructions)
    if isinstance(question, ChoiceQuestion):
        options = tuple((option, words_of(description)) for option, description in question.criteria.items())
        return Asked("choice", where, instructions, options)
    if isinstance(question, NoulQuestion):
        criteria = question.criteria
        told = words_of(criteria.get("true") if isinstance(criteria, Mapping) else criteria)
        return Asked("predicate", where, f"{instructions} {told}".strip())
    return Asked("score", where, instructions)


def _answer(answer: Answered) -> NoulAnswer | ChoiceAnswer:
    if answer.kind == "predicate":
        return NoulAnswer(noul=answer.probabilities[0])
    return ChoiceAnswer(
        choice=str(answer.first),
        confidence=confidence(answer.probabilities),
        probabilities={str(value): probability for value, probability in answer.pairs},
    )
