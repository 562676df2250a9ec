"""``POST /v1/decisions``: its bodies, and its questions as ours."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from ensemble.serve.limits import Limits
from ensemble.serve.wire.asked import MAX_OPTIONS, MAX_QUESTIONS, Asked, Value, confidence
from ensemble.serve.wire.content import Content, read_messages, read_text, words_of
from ensemble.serve.wire.decided import Answered, Decided


class Choice(BaseModel):
    """One of a question's choices: a label's name or gloss, as its value or as its description."""

    value: StrictStr | StrictBool
    description: str | None = None


class PredicateQuestion(BaseModel):
    """How probable is the label that the instructions name?"""

    type: Literal["predicate"]
    instructions: Any
    name: str | None = None


class ChoiceQuestion(BaseModel):
    """Which of these labels? Without choices: which of the task's?"""

    type: Literal["choice"]
    instructions: Any
    choices: list[Choice] = Field([], max_length=MAX_OPTIONS)
    name: str | None = None


class ScoreQuestion(BaseModel):
    """Refused: a panel has labels, no levels."""

    type: Literal["score"]
    instructions: Any = None
    name: str | None = None


class DecisionsIn(BaseModel):
    """A text or messages, and questions on it. `model` may be any name: there is one panel."""

    model: str = ""
    input: str | list[dict[str, Any]]
    questions: list[Annotated[PredicateQuestion | ChoiceQuestion | ScoreQuestion, Field(discriminator="type")]] = Field(
        min_length=1, max_length=MAX_QUESTIONS
    )

    def content(self, limits: Limits) -> Content:
        return read_text(self.input, limits) if isinstance(self.input, str) else read_messages(self.input)

    def asked(self) -> list[Asked]:
        return [_asked(question, number) for number, question in enumerate(self.questions, start=1)]

    def names(self) -> list[str | None]:
        return [question.name for question in self.questions]


class ChoiceProbability(BaseModel):
    """One choice's probability."""

    value: Value
    probability: float


class ChoiceAnswer(BaseModel):
    """The most probable choice; the probabilities sum to 1 over the question's choices."""

    type: Literal["choice"] = "choice"
    choice: Value
    confidence: float
    probabilities: list[ChoiceProbability]
    name: str | None


class PredicateAnswer(BaseModel):
    """The label's probability among all labels of its task."""

    type: Literal["predicate"] = "predicate"
    probability: float
    name: str | None


class RefusalAnswer(BaseModel):
    """No expert could say anything."""

    type: Literal["refusal"] = "refusal"
    name: str | None


class InputDetails(BaseModel):
    """Nothing is cached from request to request."""

    cache_write_tokens: int = 0
    cached_tokens: int = 0


class OutputDetails(BaseModel):
    """Nothing is reasoned in words."""

    reasoning_tokens: int = 0


class Usage(BaseModel):
    """Tokens of the prompts that language models read, and those that the budget booked for answers."""

    input_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int
    output_tokens_details: OutputDetails = OutputDetails()
    total_tokens: int


class DecisionsOut(BaseModel):
    """Answers in the questions' order; `model` is the configuration's name and the panel's fingerprint."""

    model: str
    answers: list[Annotated[ChoiceAnswer | PredicateAnswer | RefusalAnswer, Field(discriminator="type")]]
    usage: Usage


def response(decided: Decided, model: str) -> DecisionsOut:
    """The answers as this format has them."""
    usage = Usage(
        input_tokens=decided.input_tokens,
        output_tokens=decided.output_tokens,
        total_tokens=decided.input_tokens + decided.output_tokens,
    )
    return DecisionsOut(model=model, answers=[_answer(answer, name) for name, answer in decided.answers], usage=usage)


def _asked(question: PredicateQuestion | ChoiceQuestion | ScoreQuestion, number: int) -> Asked:
    choices = question.choices if isinstance(question, ChoiceQuestion) else []
    options = tuple((choice.value, choice.description or "") for choice in choices)
    return Asked(question.type, f"question {number}", words_of(question.instructions), options)


def _answer(answer: Answered | None, name: str | None) -> ChoiceAnswer | PredicateAnswer | RefusalAnswer:
    if answer is None:
        return RefusalAnswer(name=name)
    if answer.kind == "predicate":
        return PredicateAnswer(probability=answer.probabilities[0], name=name)
    return ChoiceAnswer(
        choice=answer.first,
        confidence=confidence(answer.probabilities),
        probabilities=[ChoiceProbability(value=value, probability=p) for value, p in answer.pairs],
        name=name,
    )
