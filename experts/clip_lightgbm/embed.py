"""Picture embeddings by open_clip, computed once per picture and kept."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mire.cache import BlobCache
from mire.compat import mend_torchvision
from mire.errors import DataError, PanelError
from mire.hub import unreachable
from mire.images import content_hash, load_image
from mire.parameters import add_clip_config
from mire.settings import Clip

if TYPE_CHECKING:
    from PIL.Image import Image

RANDOM_SEED = 7


@dataclass(frozen=True)
class Embedder:
    """open_clip's picture tower. The model is loaded when the first new picture comes, not before."""

    settings: Clip

    def embed(self, paths: Sequence[Path]) -> dict[Path, NDArray[np.float32]]:
        """Embeddings of shape (dimension,) of the pictures that can be read; the others are left out."""
        keys = {path: content_hash(path) for path in paths}
        cache = BlobCache(f"clip-{self.fingerprint}")
        known = cache.get_many(list(keys.values()))
        for start in range(0, len(paths), self.settings.batch_size):
            batch = [path for path in paths[start : start + self.settings.batch_size] if keys[path] not in known]
            fresh = {keys[path]: vector.tobytes() for path, vector in self._run(batch).items()}
            if fresh:
                cache.put_many(fresh)
                known.update(fresh)
        return {path: np.frombuffer(known[key], dtype=np.float32) for path, key in keys.items() if key in known}

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits of what decides an embedding: the model, and its weights by name or by the file."""
        parts = [self.settings.model, self.settings.weights, str(RANDOM_SEED)]
        for source in (Path(self.settings.model), Path(self.settings.weights)):
            if source.exists():
                parts.append(f"{source.name} {source.stat().st_size} {source.stat().st_mtime_ns}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def n_parameters(self) -> int:
        """Parameters of the picture tower; the text tower is not kept."""
        return sum(parameter.numel() for parameter in self._tower[0].parameters())

    def _run(self, paths: Sequence[Path]) -> dict[Path, NDArray[np.float32]]:
        import torch

        pictures: dict[Path, Any] = {}
        for path in paths:
            try:
                pictures[path] = load_image(path)
            except DataError:
                continue
        if not pictures:
            return {}
        tower, transform = self._tower
        device = next(tower.parameters()).device
        with torch.inference_mode():
            stacked = torch.stack([transform(picture) for picture in pictures.values()]).to(device)
            vectors = tower(stacked).float().cpu().numpy()
        return dict(zip(pictures, vectors, strict=True))

    @cached_property
    def _tower(self) -> "tuple[Any, Callable[[Image], Any]]":
        """The picture tower and its transform: the whole picture squashed to a square, nothing cropped away."""
        import torch

        model = create_model(self.settings)
        transform = _transform(model.visual.image_size)
        return model.visual.to("cuda" if torch.cuda.is_available() else "cpu").eval(), transform


def create_model(settings: Clip) -> Any:
    """The open_clip model of these settings.

    ``model`` is a name that open_clip knows, ``mire-nano``, a configuration file, or a folder with
    ``open_clip_config.json``; ``weights`` a tag, a file, or ``random``.

    Raises:
        PanelError: open_clip knows no such model or weights, or cannot fetch them.
    """
    mend_torchvision()
    import open_clip
    import torch

    weights = None if settings.weights == "random" or Path(settings.model).is_dir() else settings.weights
    if weights and Path(weights).is_file() and not weights.endswith(".safetensors"):
        raise PanelError(
            f"CLIP weights are only read as safetensors, and clip.weights names {weights}; convert it once"
        )
    offline = unreachable() if weights and not Path(weights).is_file() else None
    # open_clip warns of random weights, which here are asked for by name.
    logging.disable(logging.WARNING if weights is None else logging.NOTSET)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_SEED)
            return open_clip.create_model(
                add_clip_config(settings.model), pretrained=weights, require_pretrained=weights is not None
            )
    except (RuntimeError, OSError, ValueError) as error:
        raise PanelError(
            f"the CLIP model {settings.model!r} with weights {settings.weights!r} cannot be loaded: "
            f"{offline or str(error).splitlines()[0]}; name a file or a folder as clip.weights or clip.model in the "
            "settings"
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def _transform(image_size: Any) -> "Callable[[Image], Any]":
    from open_clip.transform import PreprocessCfg, image_transform_v2

    size = image_size if isinstance(image_size, int) else tuple(image_size)
    return image_transform_v2(PreprocessCfg(size=size, resize_mode="squash"), is_train=False)  # type: ignore[no-any-return]
