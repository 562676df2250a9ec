"""The texts of a sample, by part, and those that stand for a label."""

from collections.abc import Iterator, Mapping, Sequence

from experts.dialogue_text.features import clean, take_apart
from experts.screen_text.reader import Reader
from mire.labels import Label, Task
from mire.samples import Sample
from mire.settings import TextEmbedding

PARTS: dict[Task, tuple[str, ...]] = {"dialogue": ("question", "exchange"), "image": ("screen",)}
"""The parts whose text is used; ``exchange`` is the last question with its answer."""

Texts = Mapping[str, str]
"""A text, possibly empty, for each part of a task."""


def sample_texts(samples: Sequence[Sample], task: Task) -> list[Texts | None]:
    """Per sample its texts; None if it has none, or its picture cannot be read. Readings are kept, as screens' are."""
    if task == "dialogue":
        found = [_dialogue(sample) for sample in samples]
    else:
        readings = Reader().read([sample.images[0] for sample in samples if sample.images])
        shown = {path: " ".join(clean(box.text) for box in reading.boxes) for path, reading in readings.items()}
        found = [{"screen": shown.get(sample.images[0], "") if sample.images else ""} for sample in samples]
    return [texts if any(texts.values()) else None for texts in found]


def _dialogue(sample: Sample) -> dict[str, str]:
    parts = take_apart(sample.turns)
    return {name: getattr(parts, name) for name in PARTS["dialogue"]}


def label_texts(label: Label, task: Task, settings: TextEmbedding) -> Iterator[tuple[Texts, float]]:
    """What stands for a label, each with its weight.

    Its name and description, as one text, stand in every part; without a description the gloss does. Of a dialogue
    label's made-up turns a customer's is a question, and an agent's an answer without one.
    """
    text = clean(f"{label.name} {label.description or label.gloss}")
    yield dict.fromkeys(PARTS[task], text), settings.ridge(task).description_weight
    for draft in label.drafts if task == "dialogue" else ():
        text = clean(draft.text)
        yield {"question": text if draft.speaker == "user" else "", "exchange": text}, settings.draft_weight
