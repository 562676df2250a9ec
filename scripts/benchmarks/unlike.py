"""Count how many made-up inputs that belong to no label a panel recognises, and how many known samples it takes for such.

    python -m scripts.benchmarks.unlike --panel runs/p

The known ones are the panel's training samples: out of fold, by limits that were found on the others. The made-up ones
are the dialogues of ``unlike_dialogues.json`` and pictures that are drawn here: blank ones, and screens of no shop.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ensemble.classify import Question
from ensemble.decisions.threshold_file import is_unlike
from ensemble.decisions.thresholds import out_of_fold_answers
from ensemble.panel import Panel
from mire.cli import run
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.prompts import Speaker

SIZE = (720, 1280)
N_EACH = 4
"""Pictures of each kind."""
Rng = np.random.Generator


def blank(rng: Rng) -> Image.Image:
    """One colour."""
    return Image.new("RGB", SIZE, str(rng.choice(["white", "black", "#7f7f7f", "#f5f5f5", "#1a4f9c"])))


def noise(rng: Rng) -> Image.Image:
    """Every pixel by itself."""
    return Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))


def gradient(rng: Rng) -> Image.Image:
    """From one colour to another."""
    top, bottom = rng.integers(0, 256, (2, 1, 1, 3))
    share = np.linspace(0, 1, SIZE[1])[:, None, None]
    return Image.fromarray(np.broadcast_to(top + share * (bottom - top), (SIZE[1], SIZE[0], 3)).astype(np.uint8))


def squares(rng: Rng) -> Image.Image:
    """A board of black and white squares."""
    side = int(rng.integers(40, 160))
    x, y = np.meshgrid(np.arange(SIZE[0]) // side, np.arange(SIZE[1]) // side)
    return Image.fromarray(((x + y) % 2 * 255).astype(np.uint8)).convert("RGB")


def landscape(rng: Rng) -> Image.Image:
    """Hills under a sun."""
    picture = Image.new("RGB", SIZE, "#8ec9f0")
    draw, sun, xs = ImageDraw.Draw(picture), int(rng.integers(100, 600)), np.arange(0, SIZE[0] + 8, 8)
    draw.ellipse((sun, 150, sun + 140, 290), "#ffdf60")
    for colour, height in (("#6f9b6a", 700), ("#4d7d4b", 850), ("#305c33", 1000)):
        hills = height + 80 * np.sin(xs / rng.uniform(60, 140))
        draw.polygon([(0, 1280), *zip(xs.tolist(), hills.tolist(), strict=True), (720, 1280)], colour)
    return picture


def chart(rng: Rng) -> Image.Image:
    """Three lines between two axes."""
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    draw.line((80, 100, 80, 1100, 680, 1100), "black", 4)
    for colour in ("#c02020", "#2050c0", "#20a040"):
        heights = 600 + np.cumsum(rng.normal(0, 40, 60))
        draw.line([(80 + 10 * index, height) for index, height in enumerate(heights.tolist())], colour, 5)
    return picture


def code(rng: Rng) -> Image.Image:
    """An editor."""
    names = rng.choice(["value", "index", "total", "parser", "node", "buffer"], (26, 2))
    lines = [f"{'    ' * int(rng.integers(3))}{left} = {right}.get({int(rng.integers(99))})" for left, right in names]
    return _written(lines, "#a0e0a0", "#101418", 26)


def article(rng: Rng) -> Image.Image:
    """A page of a book."""
    words = [
        "the", "river", "old", "stone", "winter", "people", "house", "under", "night", "garden", "walked", "light",
        "began", "letter", "quiet",
    ]  # fmt: skip
    return _written([" ".join(rng.choice(words, 8)) for _ in range(28)], "black", "#fbf7ee", 26)


def sums(rng: Rng) -> Image.Image:
    """A sheet of homework."""
    lines = [
        f"{int(left)} {rng.choice(['+', '-', 'x'])} {int(right)} =" for left, right in rng.integers(10, 99, (16, 2))
    ]
    return _written(lines, "#202060", "white", 44)


def stars(rng: Rng) -> Image.Image:
    """The sky at night."""
    picture = Image.new("RGB", SIZE, "#050818")
    for x, y, radius in rng.uniform((0, 0, 0.5), (*SIZE, 4), (300, 3)).tolist():
        ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), "white")
    return picture


def go_board(rng: Rng) -> Image.Image:
    """A game of go."""
    picture = Image.new("RGB", SIZE, "#c9a46a")
    draw = ImageDraw.Draw(picture)
    for at in range(40, 671, 45):
        draw.line((at, 300, at, 930), "black", 2)
        draw.line((40, 260 + at, 670, 260 + at), "black", 2)
    for number, (x, y) in enumerate((45 * rng.integers(0, 15, (40, 2)) + (40, 300)).tolist()):
        draw.ellipse((x - 20, y - 20, x + 20, y + 20), ("black", "white")[number % 2])
    return picture


def sheet_music(rng: Rng) -> Image.Image:
    """Staves with notes."""
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    for top in range(100, 1200, 180):
        for line in range(5):
            draw.line((40, top + 18 * line, 680, top + 18 * line), "black", 2)
        for x, y in zip(range(70, 670, 60), (top + 9 * rng.integers(0, 9, 10)).tolist(), strict=True):
            draw.ellipse((x, y - 8, x + 22, y + 8), "black")
            draw.line((x + 21, y, x + 21, y - 60), "black", 3)
    return picture


def _written(lines: Sequence[str], colour: str, ground: str, height: int) -> Image.Image:
    picture = Image.new("RGB", SIZE, ground)
    for row, line in enumerate(lines):
        corner = (30, 40 + row * int(1.6 * height))
        ImageDraw.Draw(picture).text(corner, line, colour, ImageFont.load_default(height))
    return picture


DRAWN: tuple[Callable[[Rng], Image.Image], ...] = (
    blank, noise, gradient, squares, landscape, chart, code, article, sums, stars, go_board, sheet_music,
)  # fmt: skip


def pictures(folder: Path) -> Iterator[tuple[str, Question]]:
    """Every picture with its kind, drawn into ``folder``."""
    for index, draw in enumerate(DRAWN):
        for number in range(N_EACH):
            path = folder / f"{draw.__name__}-{number}.png"
            draw(np.random.default_rng([index, number])).save(path)
            yield draw.__name__, Question(image=path)


def dialogues() -> Iterator[tuple[str, Question]]:
    """Every dialogue with its kind; the user speaks first."""
    kinds = json.loads(Path(__file__).with_name("unlike_dialogues.json").read_text(encoding="utf-8"))
    speakers: tuple[Speaker, ...] = get_args(Speaker)
    for kind, texts in kinds.items():
        for said in texts:
            yield kind, Question(dialogue=[(speakers[index % 2], text) for index, text in enumerate(said)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--panel", type=Path, required=True)


def execute(options: argparse.Namespace) -> None:
    """Print one line for the known samples of each task and for each kind of made-up input."""
    panel, folder = Panel.load(options.panel), PanelFolder(options.panel)
    with tempfile.TemporaryDirectory() as drawn:
        made: dict[Task, list[tuple[str, Question]]] = {"image": [*pictures(Path(drawn))], "dialogue": [*dialogues()]}
        for task in panel.tasks:
            unlike = out_of_fold_answers(folder, task).unlike
            print(f"{task}: {unlike.mean():.1%} of {len(unlike)} known samples are flagged")
            kinds = [kind for kind, _ in made[task]]
            found = [
                is_unlike(answer.familiarity) for answer in panel.classify_many([asked for _, asked in made[task]])
            ]
            for kind in ("all", *dict.fromkeys(kinds)):
                flagged = [flag for flag, own in zip(found, kinds, strict=True) if kind in ("all", own)]
                print(f"  {kind}: {sum(flagged)} of {len(flagged)} made-up inputs are recognised")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
