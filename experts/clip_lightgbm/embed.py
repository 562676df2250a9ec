"""Picture embeddings by open_clip, cached by the picture's content."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experts.weight_files import check_safetensors, read_json
from mire.cache import BlobCache
from mire.compat import patch_torchvision
from mire.errors import DataError, PanelError, one_line, some
from mire.hub import offline_reason
from mire.images import content_hash, load_image
from mire.model_sizes import add_clip_config, clip_weights
from mire.process_pool import workers
from mire.settings import Clip

if TYPE_CHECKING:
    from PIL.Image import Image

RANDOM_SEED = 7


@dataclass(frozen=True)
class Embedder:
    """open_clip's picture tower. The model is loaded when the first picture is not in the cache."""

    settings: Clip

    def embed(self, paths: Sequence[Path]) -> dict[Path, NDArray[np.float32]]:
        """Embeddings of shape (dimension,) of the pictures that can be read; others are missing in the result."""
        keys = {path: content_hash(path) for path in paths}
        cache = BlobCache(f"clip-{self.fingerprint}")
        known = cache.get_many(list(keys.values()))
        fresh = {key: path for path, key in keys.items() if key not in known}
        if fresh:
            squash = partial(_squashed, self._tower[2])
            loaded = zip(fresh, workers().map(squash, list(fresh.values())), strict=True)
            while batch := list(islice(loaded, self.settings.batch_size)):
                vectors = self._run({key: picture for key, picture in batch if picture is not None})
                cache.put_many({key: vector.tobytes() for key, vector in vectors.items()})
                known.update({key: vector.tobytes() for key, vector in vectors.items()})
        return {path: np.frombuffer(known[key], dtype=np.float32) for path, key in keys.items() if key in known}

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that change with the model or its weights (by name, or by the file's size and time)."""
        parts = [self.settings.model, self.settings.weights, str(RANDOM_SEED)]
        for source in (Path(self.settings.model), Path(self.settings.weights)):
            if source.exists():
                parts.append(f"{source.name} {source.stat().st_size} {source.stat().st_mtime_ns}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def n_parameters(self) -> int:
        """Parameters of the picture tower; the text tower is dropped."""
        return sum(parameter.numel() for parameter in self._tower[0].parameters())

    def _run(self, pictures: "dict[str, Image]") -> dict[str, NDArray[np.float32]]:
        """Embeddings of shape (dimension,) by the pictures' keys."""
        import torch

        if not pictures:
            return {}
        tower, transform, _ = self._tower
        device = next(tower.parameters()).device
        with torch.inference_mode():
            stacked = torch.stack([transform(picture) for picture in pictures.values()]).to(device)
            vectors = tower(stacked).float().cpu().numpy()
        return dict(zip(pictures, vectors, strict=True))

    @cached_property
    def _tower(self) -> "tuple[Any, Callable[[Image], Any], tuple[int, int]]":
        """The picture tower, its transform, and the width and height that every picture is squashed to."""
        import torch

        # By default a GPU rounds a convolution's float32 inputs to TF32: the cache holds what a CPU has computed, too.
        torch.backends.cudnn.allow_tf32 = False
        model = create_model(self.settings)
        size = model.visual.image_size
        tall, wide = (size, size) if isinstance(size, int) else size
        return (
            model.visual.to("cuda" if torch.cuda.is_available() else "cpu").eval(),
            _transform((tall, wide)),
            (wide, tall),
        )


def _squashed(size: tuple[int, int], path: Path) -> "Image | None":
    """A picture resized to ``size`` (width, height) without cropping; None if it cannot be read."""
    from PIL.Image import Resampling

    try:
        return load_image(path).resize(size, Resampling.BICUBIC)
    except DataError:
        return None


def create_model(settings: Clip) -> Any:
    """The open_clip model of these settings.

    ``model`` is a name that open_clip knows, ``mire-nano``, a configuration file, or a folder with
    ``open_clip_config.json``; ``weights`` a tag, a file, or ``random``.

    Raises:
        PanelError: open_clip has no such model or weights, or cannot download them.
    """
    patch_torchvision()
    import open_clip
    import torch

    weights = None if settings.weights == "random" or Path(settings.model).is_dir() else settings.weights
    check_clip_files(settings)
    offline = offline_reason() if weights and not Path(weights).is_file() else None
    # open_clip warns about random weights, which were requested here.
    logging.disable(logging.WARNING if weights is None else logging.NOTSET)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_SEED)
            name = add_clip_config(settings.model)
            return open_clip.create_model(
                name, pretrained=weights and _weights_file(name, weights), require_pretrained=weights is not None
            )
    except (torch.OutOfMemoryError, MemoryError, PanelError):
        raise
    except Exception as error:  # of a damaged file the libraries make errors of any class
        reason = offline or one_line(error)[:300]
        raise PanelError(
            f"the CLIP model {settings.model!r} with weights {settings.weights!r} cannot be loaded: {reason}; name a "
            "file or a folder as clip.weights or clip.model in the settings"
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def _weights_file(model: str, weights: str) -> str:
    """The safetensors file of a tag, from the hub or its cache; anything else as it is, for open_clip.

    Raises:
        PanelError: the tag has none: open_clip would unpickle what there is instead.
    """
    import open_clip
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    place = clip_weights(model, weights)
    if place is None:
        return weights
    try:
        if place[0]:
            return str(hf_hub_download(*place))
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError:
        pass
    known = [tag for tag in open_clip.list_pretrained_tags_by_model(model) if tag != weights]
    raise PanelError(
        f"the weights {weights!r} of the CLIP model {model!r} are published as a pickle, which can run any code; save "
        f"them as safetensors once, and name that file as clip.weights, or try another of its tags: {some(known)}"
    )


def check_clip_files(settings: Clip) -> None:
    """Open the file or folder that the settings name before open_clip does; a name of its own is its own matter.

    Raises:
        PanelError: the weights are missing, not whole, or no safetensors; the folder would have others fetched, or its
            tower filled up with random numbers; the model is a hub's, whose weights may be pickles.
    """
    folder = Path(settings.model)
    if settings.model.startswith("hf-hub:"):
        raise PanelError(
            f"clip.model names {settings.model!r}, and no hub is asked for a model of that kind; download it once and "
            "name its folder"
        )
    if not folder.is_dir():
        if settings.weights != "random" and (Path(settings.weights).suffix or Path(settings.weights).is_file()):
            check_safetensors(Path(settings.weights))
        return
    config = read_json(folder / "open_clip_config.json").get("model_cfg")
    if not isinstance(config, dict) or any(
        "hf_model_name" in part for part in config.values() if isinstance(part, dict)
    ):
        raise PanelError(f"{folder / 'open_clip_config.json'} describes no CLIP, or names a hub's model; name another")
    weights = [path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".bin", ".pth", ".pt")]
    if not weights:
        raise PanelError(f"{folder} holds no open_clip_model.safetensors; download the model again, whole")
    for path in weights:
        check_safetensors(path)


def _transform(size: tuple[int, int]) -> "Callable[[Image], Any]":
    from open_clip.transform import PreprocessCfg, image_transform_v2

    return image_transform_v2(PreprocessCfg(size=size, resize_mode="squash"), is_train=False)  # type: ignore[no-any-return]
