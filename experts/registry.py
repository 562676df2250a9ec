"""Which class stands behind each voter's name; nothing is imported before it is needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experts.voter import SavedVoter, Voter
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.settings import Settings, VoterName

if TYPE_CHECKING:
    from experts.qwen2vl.base import Base


def train_voter(name: VoterName, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: Settings) -> SavedVoter:
    """Train one of the voters that learn in this process (``qwen2vl`` is trained by its own command)."""
    if name == "clip_lightgbm":
        from experts.clip_lightgbm.voter import ClipLightgbmVoter

        return ClipLightgbmVoter.train(samples, taxonomy=taxonomy, settings=settings.clip, seed=settings.seed)
    if name == "screen_text":
        from experts.screen_text.voter import ScreenTextVoter

        return ScreenTextVoter.train(samples, taxonomy=taxonomy, seed=settings.seed)
    if name == "dialogue_text":
        from experts.dialogue_text.voter import DialogueTextVoter

        return DialogueTextVoter.train(samples, taxonomy=taxonomy, seed=settings.seed)
    raise ValueError(f"{name!r} is not trained in this process")


def load_voter(name: VoterName, folder: Path, *, taxonomy: Taxonomy, settings: Settings, base: "Base | None") -> Voter:
    """Load a trained voter; ``base`` is the shared Qwen2-VL, needed for ``qwen2vl`` only."""
    if name == "clip_lightgbm":
        from experts.clip_lightgbm.voter import ClipLightgbmVoter

        return ClipLightgbmVoter.load(folder, taxonomy=taxonomy, settings=settings.clip)
    if name == "screen_text":
        from experts.screen_text.voter import ScreenTextVoter

        return ScreenTextVoter.load(folder, taxonomy=taxonomy)
    if name == "dialogue_text":
        from experts.dialogue_text.voter import DialogueTextVoter

        return DialogueTextVoter.load(folder, taxonomy=taxonomy)
    from experts.qwen2vl.voter import Qwen2VLVoter

    if base is None:
        raise ValueError("qwen2vl needs the shared base")
    return Qwen2VLVoter.load(folder, base=base, taxonomy=taxonomy, settings=settings.qwen2vl)
