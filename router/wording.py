"""What is left of an instruction when only its words count."""

import re
import unicodedata

# Where pictures stand says nothing about what is asked: some frames list a dialogue's pictures up front.
_PICTURE_SLOT = re.compile(r"(?:(?:picture|image|图片?|图像)[ \t]*\d*[ \t]*[:\uff1a]?[ \t]*)?<image>", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")


def wording(text: str) -> str:
    """``text`` without picture slots, in one character width and case; empty where no letter is left."""
    plain = unicodedata.normalize("NFKC", _PICTURE_SLOT.sub(" ", text)).casefold()
    return " ".join(plain.split()) if _LETTER.search(plain) else ""
