"""The voters: one row each. A row names its class by path, which is imported when it is first used."""

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from experts.voter import SavedVoter, Voter, VoterClass
from mire.budget import ParameterCount
from mire.labels import TASKS, Task, Taxonomy
from mire.samples import Sample
from mire.settings import Clip, DialogueText, Neighbours, Qwen2VL, ScreenText, Settings, TextEmbedding, VoterStage


@dataclass(frozen=True)
class VoterRow:
    """What is known of a voter without importing it.

    ``stage`` is its settings, which also hold its name and its tasks. ``path`` is ``module:Class``, a ``VoterClass``,
    which loads, trains and counts it. ``files`` are those of its folder that it answers with: an export copies them
    and no others, so none may hold a training sample. ``explains``: its voters are ``Explainer``. ``gpu``: it computes
    on a GPU where there is one, and may answer otherwise there. ``adapters``: it is trained as LoRA adapters by
    ``ensemble.training.adapters``, in processes of its own, not by ``VoterClass.train``. ``describes``: it also learns
    from the labels' names and descriptions, so that it needs no sample. ``drafts``: it learns from their made-up turns.
    ``quick``: it trains in seconds once its inputs are in the cache, or a minute where its encoder is fine-tuned, so
    that a learning curve is drawn with it.
    ``grows``: it takes examples, of further labels too, after training.
    """

    stage: type[VoterStage]
    path: str
    files: tuple[str, ...]
    explains: bool = False
    gpu: bool = False
    adapters: bool = False
    describes: bool = False
    drafts: bool = False
    quick: bool = False
    grows: bool = False

    @property
    def name(self) -> str:
        return self.stage.voter

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self.stage.tasks

    def resolve(self) -> type[VoterClass[Any]]:
        """Import the class."""
        return cast(type[VoterClass[Any]], pkgutil.resolve_name(self.path))


VOTERS = {
    row.name: row
    for row in (
        VoterRow(
            Qwen2VL,
            "experts.qwen2vl.voter:Qwen2VLVoter",
            ("adapter_config.json", "adapter_model.safetensors", "mire.json"),
            gpu=True,
            adapters=True,
        ),
        VoterRow(Clip, "experts.clip_lightgbm.voter:ClipLightgbmVoter", ("model.txt", "meta.json"), gpu=True),
        VoterRow(
            ScreenText,
            "experts.screen_text.voter:ScreenTextVoter",
            ("linear.skops", "trees.txt", "meta.json"),
            explains=True,
            quick=True,
        ),
        VoterRow(
            DialogueText,
            "experts.dialogue_text.voter:DialogueTextVoter",
            ("linear.skops", "lexicon.json", "meta.json"),
            explains=True,
            drafts=True,
            quick=True,
        ),
        VoterRow(
            TextEmbedding,
            "experts.text_embedding.voter:TextEmbeddingVoter",
            ("linear.skops", "encoder_layers.safetensors", "meta.json"),
            describes=True,
            drafts=True,
            quick=True,
        ),
        VoterRow(
            Neighbours,
            "experts.neighbours.voter:NeighboursVoter",
            ("states.safetensors", "meta.json"),
            grows=True,
        ),
    )
}
"""Every voter by the name that ``panel`` in the settings calls it."""


def train_voter(name: str, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: Settings) -> SavedVoter:
    """Train one of the voters that learn in this process; errors as ``VoterClass.train``."""
    stage = settings.stage(name)
    return VOTERS[name].resolve().train(samples, taxonomy=taxonomy, settings=stage, seed=settings.seed)


def check_voter(name: str, folder: Path, settings: Settings) -> None:
    """Refuse a trained voter that does not fit the settings, before anything is loaded, as ``VoterClass.check``."""
    VOTERS[name].resolve().check(folder, settings.stage(name))


def load_base(name: str, settings: Settings) -> Any:
    """What the voters of this name share, as ``VoterClass.load_base``."""
    return VOTERS[name].resolve().load_base(settings.stage(name))


def load_voter(name: str, folder: Path, *, taxonomy: Taxonomy, settings: Settings, base: Any) -> Voter:
    """Load a trained voter; ``base`` is what ``load_base`` gave. Errors as ``VoterClass.load``.

    One that another voter of the panel follows tells its states.
    """
    loaded: Any = VOTERS[name].resolve().load(folder, taxonomy=taxonomy, settings=settings.stage(name), base=base)
    followed = any(VOTERS[other].stage.follows == name for other in settings.panel.voters(taxonomy.task))
    voter: Voter = replace(loaded, tells_states=True) if followed else loaded
    return voter


def count_parameters(settings: Settings) -> ParameterCount:
    """Parameters of every model that a panel of these settings loads, by part, from shapes alone.

    Raises:
        SettingsError: a model's shape is not known here.
    """
    parts: dict[str, int] = {}
    for task in TASKS:
        for name in settings.panel.voters(task):
            parts |= VOTERS[name].resolve().sizes(settings.stage(name), task)
    return ParameterCount(parts)
