"""A digest of everything that decides a panel's answer: kept answers are discarded when their inputs change."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from experts.registry import VOTERS
from mire.settings import Settings

_PACKAGES = ("mire", "router", "experts", "ensemble")
_CODE = (".py", ".json", ".yaml")
_LIBRARIES = (
    "lightgbm", "numpy", "onnxruntime", "open_clip_torch", "opencv-python-headless", "peft", "pillow", "rapidocr",
    "scikit-learn", "tokenizers", "torch", "transformers",
)  # fmt: skip


def panel_digest(settings: Settings, fingerprint: str, device: str) -> str:
    """64 hex digits of the panel with this fingerprint, the code, the libraries and the device of the answers.

    The base's weights count through ``mire.json``: an adapter loads on no other base.
    """
    return hashlib.sha256("\n".join(_parts(settings, fingerprint, device)).encode()).hexdigest()


def device(settings: Settings) -> str:
    """The GPU that this process computes on, ``cpu``, or nothing where no voter would use one."""
    if not any(VOTERS[name].gpu for name in settings.panel.names):
        return ""
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"


def _parts(settings: Settings, fingerprint: str, device: str) -> Iterator[str]:
    """One line for each thing outside the sample that decides its answer."""
    yield code_digest()
    yield from (f"{name} {version(name)}" for name in _LIBRARIES)
    yield fingerprint
    # float32 on a CPU, bfloat16 on a GPU: a run that moves from one to the other starts afresh.
    yield device
    for name in settings.panel.names:
        yield f"{name} {VOTERS[name].resolve().digest(settings.stage(name))}"


@lru_cache
def code_digest() -> str:
    """64 hex digits of this project's own source and data files."""
    whole = hashlib.sha256()
    for package in _PACKAGES:
        with resources.as_file(resources.files(package)) as root:
            for path in sorted(path for path in root.rglob("*") if path.suffix in _CODE):
                whole.update(f"{package}/{path.relative_to(root).as_posix()} {_digest(path)}\n".encode())
    return whole.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
