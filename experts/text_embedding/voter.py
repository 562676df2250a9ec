"""The voter that classifies a text by what it means, and by what the labels say of themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experts.text_embedding.embed import Embedder
from experts.text_embedding.encoder import make_encoder
from experts.text_embedding.model import TextEmbeddingModel
from experts.text_embedding.texts import sample_texts
from experts.voter import VoterClass
from mire.budget import Cost, answer_tokens
from mire.doctor.check import Check
from mire.errors import MireError, PanelError
from mire.labels import Task, Taxonomy
from mire.model_sizes import count_ocr
from mire.samples import Sample
from mire.settings import TextEmbedding
from mire.votes import Vote


@dataclass(frozen=True)
class TextEmbeddingVoter(VoterClass[TextEmbedding]):
    """Classifies a dialogue, or the text on the sample's first picture; a label needs no example."""

    model: TextEmbeddingModel
    taxonomy: Taxonomy
    name: str = TextEmbedding.voter

    @classmethod
    def train(
        cls, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: TextEmbedding, seed: int
    ) -> "TextEmbeddingVoter":
        """Fit on the labels' names and descriptions, and on labelled samples, which may be none.

        Raises:
            MireError: the encoder cannot be loaded, or diverged in fine-tuning.
        """
        found = zip(samples, sample_texts(samples, taxonomy.task), strict=True)
        usable = [(texts, str(sample.label)) for sample, texts in found if texts]
        model = TextEmbeddingModel(taxonomy.task, taxonomy.labels, Embedder(settings))
        model.fit([texts for texts, _ in usable], [label for _, label in usable], taxonomy.live, seed=seed)
        return cls(model, taxonomy)

    @classmethod
    def load(
        cls, folder: Path, *, taxonomy: Taxonomy, settings: TextEmbedding, base: Any = None
    ) -> "TextEmbeddingVoter":
        """Read what ``save`` wrote.

        Raises:
            PanelError: trained for other labels or with another encoder.
        """
        model = TextEmbeddingModel.load(folder, base or Embedder(settings))
        if (model.task, model.labels) != (taxonomy.task, taxonomy.labels):
            raise PanelError(f"{folder} was trained for other labels; train it again")
        return cls(model, taxonomy)

    @classmethod
    def load_base(cls, settings: TextEmbedding) -> Embedder:
        return Embedder(settings)

    @classmethod
    def sizes(cls, settings: TextEmbedding, task: Task) -> dict[str, int]:
        read = {"ocr rapidocr": count_ocr()} if task == "image" else {}
        name = f"encoder {settings.encoder}"
        # A task whose encoder is fine-tuned loads one of its own.
        own = f"{name}, fine-tuned ({task})" if settings.ridge(task).fine_tune else name
        return {own: make_encoder(settings).n_parameters, **read}

    @classmethod
    def weights_checks(cls, settings: TextEmbedding) -> Iterator[Check]:
        try:
            yield Check(f"encoder {settings.encoder}: {make_encoder(settings).version}")
        except MireError as error:
            fault, _, fix = str(error).rpartition("; " if "; " in str(error) else ": ")
            yield Check(f"encoder {settings.encoder}: {fault}", fix)

    @classmethod
    def digest(cls, settings: TextEmbedding) -> str:
        return Embedder(settings).fingerprint

    @property
    def cost(self) -> Cost:
        """One call of the encoder; on a picture also one of OCR, which another voter may have made already."""
        return Cost(2 if self.taxonomy.task == "image" else 1, answer_tokens(self.taxonomy.labels))

    @property
    def parameters(self) -> dict[str, int]:
        return self.sizes(self.model.embedder.settings, self.taxonomy.task)

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote per sample; None if it has no text."""
        found = sample_texts(samples, self.taxonomy.task)
        usable = [(sample, texts) for sample, texts in zip(samples, found, strict=True) if texts]
        if not usable:
            return [None] * len(samples)
        rows = self.model.probabilities([texts for _, texts in usable])
        votes = {
            sample.id: Vote(self.name, sample.id, tuple(map(float, row)))
            for (sample, _), row in zip(usable, rows, strict=True)
        }
        return [votes.get(sample.id) for sample in samples]

    def save(self, folder: Path) -> None:
        self.model.save(folder)
