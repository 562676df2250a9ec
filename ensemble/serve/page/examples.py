"""Examples for the page, from the sample set that ships with the repository."""

from pathlib import Path

from mire.prompts import SPEAKER_NAMES
from mire.samples import Sample, read_samples
from router.route import route

_FOLDER = Path(__file__).parents[3] / "samples"
N_PICTURES, N_DIALOGUES = 6, 4


def examples() -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Pictures, and dialogues with their pictures, each of another label; empty where no samples are beside us."""
    if not (_FOLDER / "test.json").is_file():
        return [], []
    samples = read_samples(_FOLDER / "test.json", _FOLDER / "images")
    image = _different([sample for sample in samples if route(sample.prompt).task == "image"], N_PICTURES)
    dialogue = _different([sample for sample in samples if route(sample.prompt).task == "dialogue"], N_DIALOGUES)
    return (
        [str(sample.images[0]) for sample in image],
        [(dialogue_text(sample), [str(path) for path in sample.images]) for sample in dialogue],
    )


def dialogue_text(sample: Sample) -> str:
    """A dialogue as a person types it: one turn per line."""
    return "\n".join(f"{SPEAKER_NAMES[turn.speaker]}: {' '.join(turn.text.split())}" for turn in sample.turns)


def _different(samples: list[Sample], n: int) -> list[Sample]:
    by_label: dict[str | None, Sample] = {}
    for sample in samples:
        by_label.setdefault(sample.label, sample)
    return list(by_label.values())[:n]
