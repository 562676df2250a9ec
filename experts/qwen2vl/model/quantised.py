"""A frozen base's decoder layers in 8 or 4 bits: weights are stored so, and computed with in the base's own format.

Only the matrices of the language model's layers are quantised, 6.5 of a 7B's 8.3 billion numbers; the picture tower,
the embedding and the head stay as they are. bitsandbytes quantises and restores a matrix; the product itself is a plain
one. LLM.int8's product would round the activations too, by columns that depend on which prompts share a row.

- ``int8``: one scale per row, the largest of its numbers to 127 (https://arxiv.org/abs/2208.07339).
- ``nf4``: 4-bit NormalFloat in blocks of 64, whose scales are quantised too, as in QLoRA
  (https://arxiv.org/abs/2305.14314).
"""

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from experts.qwen2vl.model.frozen_linear import FrozenLinear
from mire.errors import SettingsError, missing_package

Format = Literal["int8", "nf4"]


def quantise_layers(model: Any, kind: Format, device: str) -> None:
    """Replace the linear layers of the language model's layers, one at a time, and move the model to ``device``.

    Raises:
        SettingsError: bitsandbytes is missing.
    """
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        message = missing_package(f"qwen2vl.quantize={kind}", "bitsandbytes", "quantized")
        raise SettingsError(message) from error
    for layer in model.model.language_model.layers:
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is torch.nn.Linear:
                    setattr(parent, name, QuantisedLinear(child, kind, device))
    model.to(device)


class QuantisedLinear(FrozenLinear):
    """A frozen linear layer that stores its weight quantised; ``weight`` restores it, (out, in), at each use.

    It stays on the device on which it was quantised.
    """

    def __init__(self, plain: torch.nn.Linear, kind: Format, device: str) -> None:
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features = plain.in_features, plain.out_features
        weight = plain.weight.detach()
        self.dtype = weight.dtype
        codes, self._restore = _QUANTISE[kind](weight.to(device))
        self.codes = torch.nn.Parameter(codes, requires_grad=False)
        self.bias = plain.bias

    @property
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def weight(self) -> Tensor:  # type: ignore[override]
        """The weight in the base's number format."""
        restored: Tensor = self._restore(self.codes)
        return restored.to(self.dtype)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return super().forward(x)


def _int8(weight: Tensor) -> tuple[Tensor, Any]:
    from bitsandbytes import functional

    # On a GPU bitsandbytes takes float16 alone. What float16 rounds is far below a 127th of a row's largest number.
    codes, scales, _ = functional.int8_vectorwise_quant(weight.half() if weight.is_cuda else weight)
    return codes, partial(functional.int8_vectorwise_dequant, stats=scales)


def _nf4(weight: Tensor) -> tuple[Tensor, Any]:
    from bitsandbytes import functional

    codes, state = functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    return codes, partial(functional.dequantize_4bit, quant_state=state)


_QUANTISE = {"int8": _int8, "nf4": _nf4}
