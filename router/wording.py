"""Normalise an instruction to its words."""

import re
import unicodedata

# The position of pictures does not show the task: some frames list a dialogue's pictures first.
_PICTURE_SLOT = re.compile(
    r"(?:(?:picture|image|图片?|图像)[ \t]*+\d*+[ \t]*+[:\uff1a]?[ \t]*+)?<image>", re.IGNORECASE
)
_LETTER = re.compile(r"[^\W\d_]")


def wording(text: str) -> str:
    """``text`` without picture slots, in half-width characters and lower case; empty if it has no letter."""
    plain = unicodedata.normalize("NFKC", _PICTURE_SLOT.sub(" ", text)).casefold()
    return " ".join(plain.split()) if _LETTER.search(plain) else ""
