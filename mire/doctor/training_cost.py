"""The cost of training LoRA adapters, computed from the base's shape: parameters, operations, memory, time.

Nothing is loaded or measured. A matrix product with an (a, b) weight takes 2 a b operations per token; attention over
all S positions of a row takes 4 S^2 times the width (scores and values; the mask saves none).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from mire.launch_options import Kind
from mire.settings import Lora, Quantize, Training

BytesPerNumber = Literal[2, 4]
"""Bytes per number: 2 for bfloat16 on a GPU, 4 for float32 on a CPU."""

QUANTISED_BYTES: dict[Quantize, float] = {"int8": 1.0, "nf4": 0.5 + 1 / 64 + 4 / (64 * 256)}
"""Bytes per quantised weight with its share of the scales: nf4 has one byte per 64, and a float per 256 of these."""

KEPT_BY_LAYER: dict[BytesPerNumber, tuple[int, int, int]] = {4: (36, 16, 28), 2: (28, 8, 21)}
"""Bytes per token that the backward pass needs of one decoder layer: per unit of its hidden width, its MLP's width and
the adapters' rank. Counted on transformers 5.23 and PEFT 0.21, bfloat16 under autocast, with torch's hooks on saved
tensors (``tests/mire/doctor/test_training_cost.py`` counts them again). On an H200 the whole is 7 % below to 4 %
above what torch allocates (docs/SCALE.md)."""
KEPT_FOR_DROPOUT: dict[BytesPerNumber, tuple[int, int]] = {4: (36, 4), 2: (6, 1)}
"""The same for dropout in the adapters: its masks, of one byte per number on a GPU, and what it puts out on a CPU."""
KEPT_BY_BLOCK: dict[BytesPerNumber, tuple[int, int]] = {4: (57, 16), 2: (26, 7)}
"""Bytes per patch of one vision block with adapters and dropout: per unit of its width and of its MLP's width."""
LOGIT_BYTES = 12
"""Bytes per logit: the logit in float32, its log-softmax, and the gradient."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a base: language model, then vision tower.

    ``query`` and ``kv`` are the widths of all heads together. ``vision_mlp`` is that of an MLP of two matrices with as
    many weights, where a gate makes them three. ``mergers``: one, and Qwen3-VL's for deepstack. ``tied``: the head is
    the embedding.
    """

    hidden: int
    mlp: int
    layers: int
    query: int
    kv: int
    vocabulary: int
    vision: int
    vision_mlp: int
    depth: int
    patch: int = 14
    mergers: int = 1
    tied: bool = False

    @classmethod
    def read(cls, config: Any) -> "Shape":
        """From transformers' configuration of a base of any family, whose entries have other names in each."""
        text, vision = config.text_config, config.vision_config
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        width = getattr(vision, "embed_dim", None) or vision.hidden_size
        mlp = getattr(vision, "intermediate_size", None) or int(width * vision.mlp_ratio)
        return cls(
            hidden=text.hidden_size,
            mlp=text.intermediate_size,
            layers=text.num_hidden_layers,
            query=head * text.num_attention_heads,
            kv=head * text.num_key_value_heads,
            vocabulary=text.vocab_size,
            vision=width,
            vision_mlp=mlp * 3 // 2 if config.model_type == "qwen2_5_vl" else mlp,
            depth=vision.depth,
            patch=vision.patch_size,
            mergers=1 + len(getattr(vision, "deepstack_visual_indexes", ())),
            tied=bool(config.tie_word_embeddings),
        )

    @property
    def cell_pixels(self) -> int:
        """Pixels behind one visual token, which is two by two patches."""
        return 4 * self.patch**2

    @property
    def frame_values(self) -> int:
        """Values per patch of a still picture, which is embedded as one frame; the weights are there for two."""
        return 3 * self.patch**2

    @property
    def layer_weights(self) -> int:
        """Weights of the matrices of one decoder layer."""
        return self.hidden * (2 * self.query + 2 * self.kv + 3 * self.mlp)

    @property
    def block_weights(self) -> int:
        """Weights of the matrices of one vision block."""
        return self.vision * (4 * self.vision + 2 * self.vision_mlp)

    @property
    def merger_weights(self) -> int:
        """Weights of the matrices that merge four patches into one token, two per merger."""
        return self.mergers * (16 * self.vision**2 + 4 * self.vision * self.hidden)

    @property
    def embedding(self) -> int:
        """Weights of the embedding; the head has as many."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """Parameters of the whole base, including Qwen2-VL's biases and norms: of other families within 0.2 %."""
        layer = self.layer_weights + self.query + 2 * self.kv + 2 * self.hidden
        block = self.block_weights + 4 * self.vision + self.vision_mlp + self.vision + 4 * self.vision
        merger = self.merger_weights + 2 * self.vision + 4 * self.vision + self.hidden
        tower = 2 * self.frame_values * self.vision + self.depth * block + merger
        return (1 if self.tied else 2) * self.embedding + self.layers * layer + self.hidden + tower

    def saved(self, quantize: Quantize, width: BytesPerNumber) -> int:
        """Bytes that the base takes less if its decoder layers' matrices are quantised."""
        return int(self.layers * self.layer_weights * (width - QUANTISED_BYTES.get(quantize, width)))

    def adapter(self, lora: Lora) -> int:
        """Parameters of one adapter: rank times (in + out) of every adapted matrix."""
        layer = 2 * (self.hidden + self.query) + 2 * (self.hidden + self.kv) + 3 * (self.hidden + self.mlp)
        block = (self.vision + 3 * self.vision) + 2 * self.vision + 2 * (self.vision + self.vision_mlp)
        ends = 2 * self.frame_values + self.vision + self.mergers * (12 * self.vision + self.hidden)
        return lora.rank * (self.layers * layer + (self.depth * block + ends if lora.vision else 0))


@dataclass(frozen=True)
class LongestSample:
    """The longest possible sample: tokens of text, tokens of pictures, inner nodes of the label trie."""

    n_text: int
    n_visual: int
    n_nodes: int

    @property
    def length(self) -> int:
        return self.n_text + self.n_visual + self.n_nodes

    @property
    def n_patches(self) -> int:
        return 4 * self.n_visual

    @property
    def n_read_positions(self) -> int:
        """Number of positions whose logits are read: the prompt's last token and the inner nodes."""
        return self.n_nodes + 1


def count_nodes(labels: Iterable[str]) -> int:
    """Inner nodes of the label trie with one token per character, an upper bound for Qwen2's vocabulary."""
    return len({label[:end] for label in labels for end in range(1, len(label) + 1)})


def forward_operations(shape: Shape, row: LongestSample) -> tuple[int, int]:
    """Operations of one forward pass over a sample: of the language model, and of the vision tower."""
    # The last layer computes keys and values at every position, the rest only where logits are read.
    flops_per_token = 2 * shape.layer_weights + 4 * row.length * shape.query
    of_key = 2 * 2 * shape.hidden * shape.kv
    last = of_key * row.length + (flops_per_token - of_key) * row.n_read_positions
    language = flops_per_token * row.length * (shape.layers - 1) + last + 2 * shape.embedding * row.n_read_positions
    of_patch = 2 * (shape.block_weights * shape.depth + shape.frame_values * shape.vision)
    # Counted for one picture: several smaller ones, whose patches do not attend to each other, take less.
    attention = 4 * row.n_patches**2 * shape.vision * shape.depth
    return language, of_patch * row.n_patches + attention + 2 * shape.merger_weights * row.n_visual


def training_operations(shape: Shape, row: LongestSample, lora: Lora, training: Training) -> int:
    """Operations of one training sample: forward, recomputation with checkpoints, and gradients of the activations.

    All passes count. Frozen weights need no gradients; a vision tower without adapters runs forward only.
    """
    language, vision = forward_operations(shape, row)
    times = 3 if training.gradient_checkpointing else 2
    return training.n_passes * (times * language + (times if lora.vision else 1) * vision)


@dataclass(frozen=True)
class TrainingCost:
    """The training of one adapter on ``n_devices``; memory is per device, in bytes."""

    shape: Shape
    row: LongestSample
    lora: Lora
    training: Training
    kind: Kind
    n_devices: int
    width: BytesPerNumber
    quantize: Quantize = "none"

    @property
    def memory(self) -> dict[str, int]:
        """Peak bytes per device, by purpose."""
        averaging = 4 if self.n_devices > 1 else 0
        return {
            "base": self._base(),
            "adapter and its gradients": self.n_adapter * (4 + 4 + averaging),
            "optimiser": self.n_adapter * 8,
            "kept activations": self._kept(),
            **self._restored(),
            "working memory": max(self.transient_bytes.values()),
        }

    @property
    def transient_bytes(self) -> dict[str, int]:
        """Bytes of the temporary tensors of a step, which do not coexist: only the largest counts."""
        tokens, patches = self._step_lengths()
        return {
            "vision tower": 0 if self.lora.vision else patches * self._of_frozen_block(),
            "label trie": self.micro_batch_size * self.row.n_read_positions * self.shape.vocabulary * LOGIT_BYTES,
            "one layer": tokens * self._of_layer() if self.training.gradient_checkpointing else 0,
        }

    @property
    def n_adapter(self) -> int:
        return self.shape.adapter(self.lora)

    @property
    def micro_batch_size(self) -> int:
        return self.training.share(self.n_devices)[0]

    def _base(self) -> int:
        """The whole base; with ``fsdp`` a shard, plus the gathered layer and the prefetched next one."""
        whole = self.shape.parameters * self.width - self.shape.saved(self.quantize, self.width)
        if self.kind != "fsdp" or self.n_devices == 1:
            return whole
        largest = max(self.shape.embedding, self.shape.layer_weights) * self.width
        return whole // self.n_devices + 2 * largest

    def _restored(self) -> dict[str, int]:
        """The largest matrix of a quantised layer, restored while it is multiplied; int8's first in float32, twice."""
        if self.quantize == "none":
            return {}
        each = self.width + (8 if self.quantize == "int8" else 0)
        return {"restored matrix": self.shape.hidden * self.shape.mlp * each}

    def _step_lengths(self) -> tuple[int, int]:
        """Tokens and patches of a step on one device."""
        return self.micro_batch_size * self.row.length, self.micro_batch_size * self.row.n_patches

    def _kept(self) -> int:
        """What the backward pass needs: of every layer, or with checkpoints its input only; the pixels.

        The last layer keeps little more than the positions whose logits are read. Of two passes both are kept, and of
        the first also the log-softmax, while the second runs.
        """
        (tokens, patches), shape = self._step_lengths(), self.shape
        checkpoints = self.training.gradient_checkpointing
        reads = self.micro_batch_size * self.row.n_read_positions
        layers = (
            tokens * shape.hidden * self.width * shape.layers
            if checkpoints
            else (tokens * (shape.layers - 1) + reads) * self._of_layer()
        )
        block = shape.vision * self.width if checkpoints else self._of_block()
        blocks = shape.depth * block if self.lora.vision else 0
        of_pass = layers + patches * (blocks + shape.frame_values * self.width)
        n_passes = self.training.n_passes
        return n_passes * of_pass + (n_passes - 1) * reads * shape.vocabulary * 4

    def _of_frozen_block(self) -> int:
        """Temporary bytes per patch of a vision block without adapters: eight times its width, twice its MLP's."""
        return (8 * self.shape.vision + 2 * self.shape.vision_mlp) * self.width

    def _of_layer(self) -> int:
        """Bytes per token that one decoder layer keeps."""
        of_hidden, of_mlp, of_rank = KEPT_BY_LAYER[self.width]
        if self.lora.dropout:
            of_hidden += KEPT_FOR_DROPOUT[self.width][0]
            of_mlp += KEPT_FOR_DROPOUT[self.width][1]
        return of_hidden * self.shape.hidden + of_mlp * self.shape.mlp + of_rank * self.lora.rank

    def _of_block(self) -> int:
        """Bytes per patch that one vision block keeps."""
        of_width, of_mlp = KEPT_BY_BLOCK[self.width]
        return of_width * self.shape.vision + of_mlp * self.shape.vision_mlp

    def seconds(self, n_samples: int, operations_per_second: float) -> float:
        """Seconds of one epoch over ``n_samples`` if each device runs ``operations_per_second``."""
        operations = training_operations(self.shape, self.row, self.lora, self.training)
        return n_samples * operations / (self.n_devices * operations_per_second)
