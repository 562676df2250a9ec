"""Examples for the page, from the sample set that ships with the repository."""

from pathlib import Path

from mire.samples import Sample, read_samples
from router.route import route

_FOLDER = Path(__file__).parents[2] / "samples"
N_EXAMPLES = 4
_NAMES = {"user": "用户", "agent": "客服"}


def examples() -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Pictures, and dialogues with their pictures, each of another label; empty where no samples are beside us."""
    if not (_FOLDER / "test.json").is_file():
        return [], []
    samples = read_samples(_FOLDER / "test.json", _FOLDER / "images")
    image, dialogue = (
        _different([s for s in samples if route(s.prompt).task == task]) for task in ("image", "dialogue")
    )
    return (
        [str(sample.images[0]) for sample in image],
        [(dialogue_text(sample), [str(path) for path in sample.images]) for sample in dialogue],
    )


def dialogue_text(sample: Sample) -> str:
    """A dialogue as a person types it: one turn a line."""
    return "\n".join(f"{_NAMES[turn.speaker]}: {' '.join(turn.text.split())}" for turn in sample.turns)


def _different(samples: list[Sample]) -> list[Sample]:
    by_label: dict[str | None, Sample] = {}
    for sample in samples:
        by_label.setdefault(sample.label, sample)
    return list(by_label.values())[:N_EXAMPLES]
