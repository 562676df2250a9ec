"""The voter that classifies a screen by its text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experts.linear import Attributions
from experts.screen_text.model import ScreenTextModel
from experts.screen_text.reader import Box, Reader
from experts.voter import VoterClass, votes_in_order, with_first_picture
from mire.budget import Cost, answer_tokens
from mire.doctor.check import Check
from mire.errors import PanelError
from mire.labels import Task, Taxonomy
from mire.model_sizes import count_ocr
from mire.samples import Sample
from mire.settings import ScreenText
from mire.votes import Vote


@dataclass(frozen=True)
class ScreenTextVoter(VoterClass[ScreenText]):
    """Reads the sample's first picture and classifies the reading."""

    model: ScreenTextModel
    taxonomy: Taxonomy
    reader: Reader = field(default_factory=Reader)
    name: str = ScreenText.voter

    @classmethod
    def train(
        cls,
        samples: Sequence[Sample],
        *,
        taxonomy: Taxonomy,
        settings: ScreenText,
        seed: int,
        reader: Reader | None = None,
    ) -> "ScreenTextVoter":
        """Fit on labelled samples; those without a readable picture are left out.

        Raises:
            PanelError: fewer than two samples have a readable picture.
        """
        reader = reader or Reader()
        usable, readings = with_first_picture(samples, reader.read)
        if len({sample.label for sample in usable}) < 2:
            raise PanelError(
                f"{cls.name} needs readable pictures of two labels to train on, got {len(usable)} readable "
                f"pictures of {len(samples)} samples; check the data with mire validate"
            )
        model = ScreenTextModel(taxonomy.labels, seed=seed, settings=settings)
        model.fit(readings, [str(sample.label) for sample in usable])
        return cls(model, taxonomy, reader)

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: ScreenText, base: Any = None) -> "ScreenTextVoter":
        """Read what ``save`` wrote.

        Raises:
            PanelError: trained for other labels.
        """
        model = ScreenTextModel.load(folder, settings)
        if model.labels != taxonomy.labels:
            raise PanelError(f"{folder} was trained for other labels; train it again")
        return cls(model, taxonomy)

    @classmethod
    def sizes(cls, settings: ScreenText, task: Task) -> dict[str, int]:
        return {"ocr rapidocr": count_ocr()}

    @classmethod
    def weights_checks(cls, settings: ScreenText) -> Iterator[Check]:
        from mire.doctor.weights import ocr_check

        yield ocr_check()

    @classmethod
    def read_lines(cls, paths: Sequence[Path]) -> Mapping[Path, Sequence[Box]]:
        return {path: reading.boxes for path, reading in Reader().read(paths).items()}

    @property
    def cost(self) -> Cost:
        return Cost(1, answer_tokens(self.taxonomy.labels))

    @property
    def parameters(self) -> dict[str, int]:
        return {"ocr rapidocr": count_ocr()}

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote per sample; None if the sample has no readable picture."""
        usable, readings = with_first_picture(samples, self.reader.read)
        if not usable:
            return [None] * len(samples)
        return votes_in_order(self.name, samples, usable, *self.model.judge(readings))

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    def explain(self, samples: Sequence[Sample]) -> list[Attributions]:
        """Per sample the words that contribute most to the voter's top label; empty if it abstains."""
        usable, readings = with_first_picture(samples, self.reader.read)
        words = {sample.id: self.model.explain(reading) for sample, reading in zip(usable, readings, strict=True)}
        return [words.get(sample.id, []) for sample in samples]

    def label_words(self) -> dict[str, Attributions]:
        return self.model.label_words()
