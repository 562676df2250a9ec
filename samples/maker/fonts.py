"""Find the Chinese fonts. Only drawing samples needs them; using the samples does not."""

from functools import cache
from pathlib import Path

from PIL import ImageFont

from mire.errors import MireError

FOLDER = Path("/usr/share/fonts")
FAMILIES = ("noto", "wenquanyi")
_FILES = {
    ("noto", False): ("NotoSansCJK-Regular.ttc", "Noto Sans CJK SC"),
    ("noto", True): ("NotoSansCJK-Bold.ttc", "Noto Sans CJK SC"),
    ("wenquanyi", False): ("wqy-microhei.ttc", "WenQuanYi Micro Hei"),
    ("wenquanyi", True): ("NotoSansCJK-Bold.ttc", "Noto Sans CJK SC"),  # WenQuanYi has no bold face
}
_FACES_PER_FILE = 10


class FontError(MireError):
    """A font that the screens are drawn with is not installed."""


@cache
def _face(family: str, bold: bool) -> tuple[str, int]:
    """Path and face number: a .ttc holds one face per region, and the Japanese one draws other glyphs."""
    name, wanted = _FILES[family, bold]
    path = next(iter(sorted(FOLDER.rglob(name))), None)
    if path is not None:
        for index in range(_FACES_PER_FILE):
            try:
                if ImageFont.truetype(str(path), 20, index=index).getname()[0] == wanted:
                    return str(path), index
            except OSError:
                break
    raise FontError(f"no font {wanted} ({name}) under {FOLDER}: apt install fonts-noto-cjk fonts-wqy-microhei")


@cache
def font(family: str, size: int, bold: bool) -> ImageFont.FreeTypeFont:
    path, index = _face(family, bold)
    return ImageFont.truetype(path, size, index=index, layout_engine=ImageFont.Layout.BASIC)
