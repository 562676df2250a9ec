"""Read pictures: text lines by RapidOCR and a few pixel statistics, cached by the picture's content."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experts.screen_text.pixels import PIXELS_VERSION, pixel_features
from mire.cache import BlobCache
from mire.errors import DataError
from mire.images import content_hash, load_image
from mire.privacy.pictures import Corners
from mire.process_pool import workers

if TYPE_CHECKING:
    from PIL.Image import Image

_BATCH_SIZE = 16
"""Pictures between two writes to the cache: the most that a crash can lose."""


@dataclass(frozen=True)
class Box:
    """One line of text; corners are shares of the picture's width (x) and height (y), score in [0, 1]."""

    text: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def corners(self) -> Corners:
        return self.x0, self.y0, self.x1, self.y1

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def y(self) -> float:
        """Height of the line's middle, 0 at the top."""
        return (self.y0 + self.y1) / 2


@dataclass(frozen=True)
class Reading:
    """A picture's size in pixels, its text lines from top to bottom, and its pixel features."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    pixels: tuple[float, ...]

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reading | None":
        """The reading that ``to_bytes`` wrote; None if the bytes are not a reading."""
        try:
            body = json.loads(data)
            boxes = tuple(Box(**box) for box in body["boxes"])
            return cls(int(body["width"]), int(body["height"]), boxes, tuple(map(float, body["pixels"])))
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class ReaderSettings:
    """How a picture is read; the values trade text for time (docs/RESULTS-APPENDIX.md has the measurements).

    ``longest_side`` (pixels) bounds the picture. ``squeeze`` narrows it to this share of its width: Chinese
    characters stay legible, and a line's recognition costs as much as the line is wide. ``detection_side``
    (pixels) bounds what the line detector sees. Screens are upright, so no line is tested for being upside down.
    """

    longest_side: int = 1280
    squeeze: float = 0.65
    detection_side: int = 736
    threads: int = 1

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with anything that affects a reading."""
        body = {**asdict(self), "threads": None, "rapidocr": version("rapidocr"), "pixels": PIXELS_VERSION}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Reader:
    """Reads pictures. RapidOCR is loaded when the first new picture comes, not before."""

    settings: ReaderSettings = ReaderSettings()

    def read(self, paths: Sequence[Path]) -> dict[Path, Reading]:
        """Readings of the pictures that can be opened; the others are left out."""
        keys = {path: content_hash(path) for path in paths}
        cache = BlobCache(f"screen-text-{self.settings.fingerprint}")
        kept = {key: Reading.from_bytes(blob) for key, blob in cache.get_many(list(keys.values())).items()}
        known = {key: reading for key, reading in kept.items() if reading is not None}
        fresh = {key: path for path, key in keys.items() if key not in known}
        found = zip(fresh, workers().map(self._read, list(fresh.values())), strict=True)
        while batch := list(islice(found, _BATCH_SIZE)):
            readings = {key: reading for key, reading in batch if reading is not None}
            cache.put_many({key: reading.to_bytes() for key, reading in readings.items()})
            known.update(readings)
        return {path: known[key] for path, key in keys.items() if key in known}

    def __reduce__(self) -> tuple[Any, tuple[ReaderSettings]]:
        """Pickle the settings only: a worker process uses its one reader, so RapidOCR is loaded once per process."""
        return _own_reader, (self.settings,)

    def _read(self, path: Path) -> Reading | None:
        try:
            picture = load_image(path)
        except DataError:
            return None
        width, height = picture.size
        return Reading(width, height, self.lines(picture), pixel_features(picture))

    def lines(self, picture: "Image") -> tuple[Box, ...]:
        """The text lines of an RGB picture, from top to bottom; nothing is cached."""
        import numpy as np
        from PIL import Image

        bounded = picture.copy()
        bounded.thumbnail((self.settings.longest_side, self.settings.longest_side), Image.Resampling.BOX)
        narrow = (max(round(bounded.width * self.settings.squeeze), 1), bounded.height)
        pixels = np.asarray(bounded.resize(narrow, Image.Resampling.BOX))[:, :, ::-1]  # RapidOCR wants BGR
        found = self._engine(np.ascontiguousarray(pixels))
        if found.txts is None:
            return ()
        scale = np.array(narrow, dtype=float)
        lines = []
        for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True):
            (x0, y0), (x1, y1) = np.min(corners, axis=0) / scale, np.max(corners, axis=0) / scale
            lines.append(Box(str(text), *(round(float(value), 4) for value in (score, x0, y0, x1, y1))))
        return tuple(sorted(lines, key=lambda box: (box.y, box.x0)))

    @cached_property
    def _engine(self) -> Any:
        # Else onnxruntime, from 1.32 on, tells Microsoft about each machine; it asks when it is imported.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        from rapidocr import RapidOCR

        engine = "EngineConfig.onnxruntime."
        return RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Det.limit_type": "max",
                "Det.limit_side_len": self.settings.detection_side,
                # One line per batch, at the line's own width: a larger batch pads every line to the widest.
                "Rec.rec_batch_num": 1,
                "Rec.rec_img_shape": [3, 48, 32],
                engine + "intra_op_num_threads": self.settings.threads,
                engine + "inter_op_num_threads": 1,
                engine + "enable_cpu_mem_arena": True,
            }
        )


@lru_cache(maxsize=1)
def _own_reader(settings: ReaderSettings) -> Reader:
    """This process's reader."""
    return Reader(settings)
