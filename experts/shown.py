"""What a person is shown of a sample: its dialogue, the text on its pictures, and the words that decided."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experts.linear import Attributions, bare_words
from experts.registry import VOTERS
from mire.privacy.masking import Hide
from mire.privacy.pictures import Corners, TextLine, private_corners
from mire.prompts import Speaker
from mire.samples import Sample

N_LINES = 40
"""Lines of text that are kept per picture."""
PRIVATE_WORD = "[private]"


@dataclass(frozen=True)
class Shown:
    """A sample as reports, audits and explanations show it.

    ``turns`` are pairs (speaker, text); ``read`` are the first lines of text on the first picture. ``hidden`` holds per
    picture the parts to fill; None for a picture that no voter reads, where it is not known what must be hidden.
    """

    turns: tuple[tuple[Speaker, str], ...]
    read: tuple[str, ...]
    hidden: tuple[tuple[Corners, ...] | None, ...]
    _given: str = field(repr=False)
    _kept: str = field(repr=False)

    def words(self, attributions: Attributions) -> tuple[tuple[str, float], ...]:
        """The words that decided; one that the sample holds in private text only is ``PRIVATE_WORD``."""
        found: dict[str, float] = {}
        for name, added in attributions:
            words = _squeezed(bare_words(name))
            private = words in self._given and words not in self._kept
            found.setdefault(PRIVATE_WORD if private else name, round(added, 3))
        return tuple(found.items())


def shown(samples: Sequence[Sample], voters: Iterable[str], hide: Hide) -> list[Shown]:
    """The samples as a person sees them; the voters named are those that may have read the pictures."""
    read = _read_lines(samples, voters)
    return [_shown(sample, read, hide) for sample in samples]


def _shown(sample: Sample, read: Mapping[Path, Sequence[TextLine]], hide: Hide) -> Shown:
    texts = [turn.text for turn in sample.turns]
    texts += [line.text for path in sample.images for line in read.get(path, ())]
    # Without hiding, an unread picture is shown as it is.
    unread = () if hide is str else None
    return Shown(
        turns=tuple((turn.speaker, hide(turn.text)) for turn in sample.turns),
        read=tuple(hide(line.text) for path in sample.images[:1] for line in read.get(path, ())[:N_LINES]),
        hidden=tuple(private_corners(read[path], hide) if path in read else unread for path in sample.images),
        _given=_squeezed("\n".join(texts)),
        _kept=_squeezed("\n".join(map(hide, texts))),
    )


def _read_lines(samples: Sequence[Sample], voters: Iterable[str]) -> dict[Path, Sequence[TextLine]]:
    """The lines of text on the samples' pictures, from top to bottom, as the voters read them."""
    paths = [path for sample in samples for path in sample.images]
    read: dict[Path, Sequence[TextLine]] = {}
    for name in voters:
        read |= VOTERS[name].resolve().read_lines(paths)
    return read


def _squeezed(text: str) -> str:
    """As voters compare texts: lower case, without blanks."""
    return re.sub(r"\s+", "", text).lower()
