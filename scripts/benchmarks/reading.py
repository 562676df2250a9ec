"""What reading a screen costs: RapidOCR's defaults against other settings, on the same pictures in one run.

    python -m scripts.benchmarks.reading [--images DIR] [--pictures 60]

Prints one table and one JSON line. CPU seconds are those of all threads together; "text" is the share of the
characters that the defaults read which a setting reads too, whatever their order. Nothing is taken from the cache.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mire.cli import run, say
from mire.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

ROOT = Path(__file__).resolve().parents[2]
BAR = 0.25
"""Share of the defaults' CPU time that the reader may take."""

OURS = "ours"
SETTINGS: dict[str, dict[str, Any]] = {
    "longest side 960, one thin line a batch": {"longest_side": 960, "squeeze": 1.0, "detection_side": 960},
    "800, width squeezed to 0.75": {"squeeze": 0.75, "detection_side": 800},
    OURS: {},
    "640, width squeezed to 0.5": {"squeeze": 0.5, "detection_side": 640},
}


@dataclass(frozen=True)
class Row:
    """One way to read: CPU seconds per picture, their share of the defaults', and the share of the text."""

    way: str
    n: int
    cpu_seconds: float
    share: float
    text: float


def ways() -> dict[str, "Callable[[Image], list[str]]"]:
    """Every way to read a picture's lines, the defaults first."""
    from experts.screen_text.reader import Reader, ReaderSettings

    engine = "EngineConfig.onnxruntime."
    one_thread = {engine + "intra_op_num_threads": 1, engine + "inter_op_num_threads": 1}
    found = {
        "RapidOCR's defaults": _plain({}),
        "defaults, one thread": _plain(one_thread),
        "defaults, one thread, no angle classifier": _plain({**one_thread, "Global.use_cls": False}),
    }
    return found | {name: _texts(Reader(ReaderSettings(**changed))) for name, changed in SETTINGS.items()}


def measure(pictures: "Sequence[Image]") -> list[Row]:
    """Every way on all pictures; its engine is loaded and warmed up on the first one before."""
    rows: list[Row] = []
    expected: Counter[str] = Counter()
    for name, read in ways().items():
        read(pictures[0])
        started = time.process_time()
        lines = [read(picture) for picture in pictures]
        seconds = (time.process_time() - started) / len(pictures)
        seen = Counter(_characters(lines))
        expected = expected or seen
        share = seconds / (rows[0].cpu_seconds if rows else seconds)
        rows.append(Row(name, len(pictures), seconds, share, (seen & expected).total() / max(expected.total(), 1)))
    return rows


def _plain(parameters: dict[str, Any]) -> "Callable[[Image], list[str]]":
    import numpy as np
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "critical", **parameters})

    def read(picture: "Image") -> list[str]:
        found = engine(np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]))  # RapidOCR wants BGR
        return list(found.txts or ())

    return read


def _texts(reader: Any) -> "Callable[[Image], list[str]]":
    return lambda picture: [box.text for box in reader.lines(picture)]


def _characters(readings: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Each picture's characters, marked with the picture's number."""
    return [(index, character) for index, lines in enumerate(readings) for line in lines for character in line]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--images", type=Path, default=ROOT / "samples" / "images", help="folder of screens")
    parser.add_argument("--pictures", type=int, default=60, help="how many of them to read, evenly chosen")


def execute(options: argparse.Namespace) -> None:
    """Measure, print a table and one JSON line."""
    from mire.images import load_image, picture_problem

    paths = [path for path in sorted(options.images.iterdir()) if picture_problem(path) is None]
    if not paths:
        raise DataError(f"{options.images} holds no picture")
    rows = measure([load_image(path) for path in paths[:: max(1, len(paths) // options.pictures)][: options.pictures]])
    print(f"{'way':<42} {'n':>4} {'CPU s':>7} {'of defaults':>12} {'text':>7}")
    for row in rows:
        print(f"{row.way:<42} {row.n:>4} {row.cpu_seconds:>7.3f} {row.share:>12.2f} {100 * row.text:>5.1f} %")
    ours = next(row for row in rows if row.way == OURS)
    verdict = "met" if ours.share <= BAR else "missed"
    say(f"ours takes {ours.share:.2f} of the defaults' CPU time; the bar is {BAR}: {verdict}")
    print(json.dumps({"rows": [asdict(row) for row in rows], "bar": BAR}))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
