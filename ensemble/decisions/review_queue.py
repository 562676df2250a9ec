"""The queue for people: answers that need a look, as tasks for Label Studio, with private text masked.

One folder per task holds ``label_config.xml`` and ``tasks.json``; the pictures lie inside the tasks, so that no server
has to be told where they are.
"""

import html
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from experts.shown import Shown, shown
from mire.atomic_files import write_text
from mire.labels import Task, Taxonomy
from mire.panel_card import fingerprint
from mire.panel_folder import PanelFolder
from mire.privacy.masking import Hide
from mire.privacy.thumbnails import Thumbnails
from mire.prompts import SPEAKER_NAMES
from mire.samples import Sample

logger = logging.getLogger(__name__)

CHOICE, PICTURES, DIALOGUE, SAMPLE, REASONS = "label", "pictures", "dialogue", "sample", "reasons"
"""Names in a task's data and in its configuration."""

_PICTURE_PIXELS, _MAX_BYTES = (720, 1280), 200_000_000


@dataclass(frozen=True)
class Doubtful:
    """An answer that a person should look at: the two most probable labels, the first's lead and probability; why."""

    id: str
    label: str
    probability: float
    margin: float
    second: str
    reasons: str = "unsure"


def queued(answers: Iterable[Doubtful]) -> list[Doubtful]:
    """Order answers in rounds, each of which takes the least sure answer of every pair of labels that it lies between.

    So an answer never waits behind many of the same pair, however unsure they are.
    """
    rounds: Counter[frozenset[str]] = Counter()
    places: dict[Doubtful, tuple[int, float, str]] = {}
    for answer in sorted(answers, key=lambda answer: (answer.margin, answer.id)):
        pair = frozenset((answer.label, answer.second))
        places[answer] = (rounds[pair], answer.margin, answer.id)
        rounds[pair] += 1
    return sorted(places, key=places.__getitem__)


def write_queues(
    groups: Iterable[tuple[Task, Sequence[Sample]]],
    answers: Sequence[Doubtful],
    panel: PanelFolder,
    out: Path,
    *,
    hide: Hide,
) -> None:
    """Write the queue of each task that the panel answers into ``out``; ``groups`` hold all samples, by task."""
    doubtful = {answer.id for answer in answers}
    tasks: dict[Task, dict[str, dict[str, Any]]] = {task: {} for task in panel.trained_tasks()}
    picture = Thumbnails(_MAX_BYTES, _PICTURE_PIXELS)
    for task, samples in groups:
        members = [sample for sample in samples if sample.id in doubtful]
        seen = shown(members, panel.settings().panel.voters(task), hide)
        tasks[task] |= {sample.id: _data(sample, view, picture) for sample, view in zip(members, seen, strict=True)}
    version = fingerprint(panel)
    for task, data in tasks.items():
        order = queued(answer for answer in answers if answer.id in data)
        body = [_task(answer, data[answer.id], task, version) for answer in order]
        write_text(out / task / "tasks.json", json.dumps(body, ensure_ascii=False, indent=1) + "\n")
        write_text(out / task / "label_config.xml", label_config(panel.answered(task)))
        logger.info(f"{out / task}: {len(body)} answers for people")


def label_config(taxonomy: Taxonomy) -> str:
    """Label Studio's configuration of a task: what is shown, and one choice among the live labels."""
    view = ElementTree.Element("View")
    if taxonomy.task == "dialogue":
        names = {"nameKey": "speaker", "textKey": "text", "layout": "dialogue"}
        ElementTree.SubElement(view, "Paragraphs", {"name": DIALOGUE, "value": f"${DIALOGUE}", **names})
    ElementTree.SubElement(view, "HyperText", {"name": PICTURES, "value": f"${PICTURES}"})
    labels = {"name": CHOICE, "toName": _shown_as(taxonomy.task), "choice": "single", "required": "true"}
    choices = ElementTree.SubElement(view, "Choices", labels)
    for label in taxonomy.live:
        ElementTree.SubElement(choices, "Choice", {"value": label.name, "hint": label.gloss})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _shown_as(task: Task) -> str:
    """The part of a task's data that the label belongs to."""
    return DIALOGUE if task == "dialogue" else PICTURES


def _data(sample: Sample, view: Shown, picture: Thumbnails) -> dict[str, Any]:
    uris = [picture(str(path), hidden) for path, hidden in zip(sample.images, view.hidden, strict=True)]
    return {
        SAMPLE: sample.id,
        PICTURES: "".join(f'<img src="{html.escape(uri)}">' if uri else "<p>no picture</p>" for uri in uris),
        DIALOGUE: [{"speaker": SPEAKER_NAMES[speaker], "text": text} for speaker, text in view.turns],
    }


def _task(answer: Doubtful, data: Mapping[str, Any], task: Task, version: str) -> dict[str, Any]:
    return {"data": {**data, REASONS: answer.reasons}, "predictions": [_prediction(answer, task, version)]}


def _prediction(answer: Doubtful, task: Task, version: str) -> dict[str, Any]:
    chosen = {"from_name": CHOICE, "to_name": _shown_as(task), "type": "choices", "value": {"choices": [answer.label]}}
    return {"model_version": version, "score": answer.probability, "result": [{"id": "answer", **chosen}]}
