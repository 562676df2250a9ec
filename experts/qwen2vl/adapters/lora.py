"""A LoRA adapter as factors: what a PEFT folder adds to each weight, whatever options it was made with."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experts.qwen2vl.adapter import CONFIG, WEIGHTS, read_config, read_tensors
from experts.weight_files import readable_as
from mire.errors import PanelError
from mire.settings import Lora

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "base_model.model."
_KEY = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<part>[AB])(?:\.\w+)?\.weight")
_OWN_TARGETS = (Lora().target_modules, Lora(vision=True).target_modules)

# Old name -> new name. (transformers maps a base's own weights by the same two rules.)
_RENAMED = (
    (re.compile(r"^visual\."), "model.visual."),
    (re.compile(r"^model\.(?!language_model\.|visual\.)"), "model.language_model."),
)

_SAFE_STARTS = (True, False, None, "gaussian", "eva", "orthogonal", "mica")
"""Ways to start an adapter that leave the base's weights as they are."""
_READ = {"peft_type", "r", "lora_alpha", "use_rslora", "init_lora_weights", "rank_pattern", "alpha_pattern"}
_SAYS_NOTHING = {
    "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout", "megatron_core",
    "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size", "runtime_config",
    "ensure_weight_tying",
}  # fmt: skip
"""Entries of PEFT's configuration that change nothing of what saved factors add to a weight."""


class _Options(BaseModel):
    """The entries of PEFT's configuration that decide a scale; the library is never handed anything else."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    peft_type: Literal["LORA"] = "LORA"
    r: int = Field(ge=1, le=8192)
    lora_alpha: float
    use_rslora: bool = False
    init_lora_weights: bool | str | None = True
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None

    def rank(self, module: str) -> int:
        return int(_of_module(self.rank_pattern or {}, module, self.r))

    def scale(self, module: str) -> float:
        alpha, rank = _of_module(self.alpha_pattern or {}, module, self.lora_alpha), self.rank(module)
        return float(alpha / math.sqrt(rank) if self.use_rslora else alpha / rank)


@dataclass(frozen=True)
class Factors:
    """What an adapter adds to one weight: ``scale * b @ a``.

    ``a`` is (rank, n_in) and ``b`` (n_out, rank); a convolution's keep their kernel's axes behind these.
    """

    a: "Tensor"
    b: "Tensor"
    scale: float

    @property
    def rank(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class LoraAdapter:
    """Factors by module, named as in the folder; ``start`` is how training began where that changed the base."""

    factors: dict[str, Factors]
    start: str | None
    targets: str | tuple[str, ...]

    def peft_config(self) -> Any:
        """PEFT's configuration of the same factors, made of known entries only: PEFT imports code that others name."""
        from peft import LoraConfig

        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        return LoraConfig(
            **_ranks_and_alphas(self.factors), target_modules=targets, inference_mode=True, task_type="CAUSAL_LM"
        )

    def state(self) -> "dict[str, Tensor]":
        """The tensors by PEFT's names."""
        return _tensors(self.factors)


def read_lora(folder: Path, *, changed_base: bool = False) -> LoraAdapter:
    """Read a PEFT folder.

    Without ``changed_base``, an adapter whose training changed the base first (PiSSA, OLoRA) is refused: loading it
    would change the base for the other task too.

    Raises:
        PanelError: it is not whole, holds anything but LoRA factors, or uses options that plain LoRA has not.
    """
    config = read_config(folder)
    options = _options(config, folder)
    start = None if options.init_lora_weights in _SAFE_STARTS else str(options.init_lora_weights).lower()
    if start and not changed_base:
        raise PanelError(
            f"{folder / CONFIG}: init_lora_weights is {options.init_lora_weights!r}: such an adapter changes the base "
            "for every task when it is loaded; turn it into plain LoRA: mire convert --help"
        )
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in read_tensors(folder).items():
        found = _KEY.fullmatch(key)
        if found is None:
            raise PanelError(f"{folder / WEIGHTS}: only LoRA weights can be read, got {key!r}; train plain LoRA")
        parts.setdefault(found["module"], {})[found["part"]] = tensor
    _check_patterns(options, parts, folder)
    factors = {module: _factors(module, part, options, folder) for module, part in parts.items()}
    return LoraAdapter(factors, start, _targets(config, factors))


def write_lora(factors: Mapping[str, Factors], folder: Path, *, base: str) -> None:
    """Write factors as a PEFT folder of plain LoRA; ``base`` is a folder, a hub name, or ``nano``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(_tensors(factors), folder / WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        # No repository is called nano, and PEFT would ask the hub for it.
        "base_model_name_or_path": None if base == "nano" else base,
        "bias": "none",
        "inference_mode": True,
        "lora_dropout": 0.0,
        **_ranks_and_alphas(factors),
        "target_modules": sorted(factors),
        "use_rslora": False,
    }
    (folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    readable_as(folder / WEIGHTS, folder / CONFIG)


def check_shapes(model: Any, lora: LoraAdapter, folder: Path) -> None:
    """Refuse an adapter of which no module is in the model, or whose factors do not fit the module's weight.

    Raises:
        PanelError: names the first such module.
    """
    known = dict(model.named_modules())
    if not lora.factors.keys() & known.keys():
        first = next(iter(lora.factors), "none")
        raise PanelError(
            f"{folder}: the adapter's keys do not fit the base: all missing, {len(lora.factors)} unknown (first: "
            f"{first}); one that was trained elsewhere is converted by mire convert"
        )
    for module, part in lora.factors.items():
        # Of a quantised layer too, whose weight would have to be restored.
        shape = _shape(known[module]) if module in known else (len(part.b), part.a.shape[1])
        if shape != (len(part.b), part.a.shape[1]):
            raise PanelError(
                f"{folder}: {module} is {shape[0]} x {shape[1]} in the base, but {len(part.b)} x {part.a.shape[1]} in "
                "the adapter; name the base that it was trained on as qwen2vl.base"
            )


def _shape(module: Any) -> tuple[int, int]:
    """Outputs and inputs of a linear layer, or channels of a convolution."""
    if hasattr(module, "in_features"):
        return module.out_features, module.in_features
    return module.out_channels, module.in_channels


def current_name(module: str) -> str:
    """A module's name today, given its name under any version of transformers."""
    for pattern, name in _RENAMED:
        module = pattern.sub(name, module)
    return module


def _old_name(module: str) -> str:
    """A module's name before transformers 4.52."""
    return re.sub(r"^model\.(visual\.)", r"\1", module.replace("model.language_model.", "model.", 1))


def _tensors(factors: Mapping[str, Factors]) -> "dict[str, Tensor]":
    named = {f"{PREFIX}{module}.lora_A.weight": part.a.contiguous() for module, part in factors.items()}
    return named | {f"{PREFIX}{module}.lora_B.weight": part.b.contiguous() for module, part in factors.items()}


def _ranks_and_alphas(factors: Mapping[str, Factors]) -> dict[str, Any]:
    """PEFT's entries for ranks and scales: the commonest of each, and a pattern for every module that differs."""
    ranks = {module: part.rank for module, part in factors.items()}
    alphas = {module: _whole(part.scale * part.rank) for module, part in factors.items()}
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    return {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {module: value for module, value in ranks.items() if value != rank},
        "alpha_pattern": {module: value for module, value in alphas.items() if value != alpha},
    }


def _whole(number: float) -> float | int:
    """An integer where rounding alone keeps the number from being one."""
    return round(number) if abs(number - round(number)) < 1e-9 * max(1, abs(number)) else number


def _options(config: dict[str, Any], folder: Path) -> _Options:
    path = folder / CONFIG
    try:
        options = _Options.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        raise PanelError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; only LoRA is read") from error
    others = {key: value for key, value in config.items() if key not in _READ | _SAYS_NOTHING}
    for key, value in others.items():
        if value and (key, value) != ("bias", "none"):
            raise PanelError(f"{path} sets {key} to {str(value)[:80]!r}, which plain LoRA has not; train plain LoRA")
    return options


def _factors(module: str, parts: "Mapping[str, Tensor]", options: _Options, folder: Path) -> Factors:
    if parts.keys() != {"A", "B"}:
        raise PanelError(f"{folder / WEIGHTS}: {module} has no lora_{'B' if 'A' in parts else 'A'}; copy it again")
    a, b = parts["A"], parts["B"]
    rank = options.rank(module)
    if a.ndim < 2 or a.ndim != b.ndim or len(a) != rank or b.shape[1] != rank:
        raise PanelError(
            f"{folder}: {module} has factors of shapes {tuple(a.shape)} and {tuple(b.shape)}, but {CONFIG} gives it "
            f"rank {rank}; copy the folder again"
        )
    return Factors(a, b, options.scale(module))


def _targets(config: Mapping[str, Any], factors: Mapping[str, Factors]) -> str | tuple[str, ...]:
    """Which modules are adapted: as the folder says where that is ours or a list, else those that have factors."""
    named = config.get("target_modules")
    if named in _OWN_TARGETS:
        return str(named)
    if isinstance(named, list) and all(isinstance(name, str) for name in named):
        return tuple(named)
    return tuple(factors)


def _of_module(pattern: Mapping[str, Any], module: str, default: Any) -> Any:
    """The first value of a pattern whose key fits the module's name, or its name today; as PEFT searches."""
    names = {module, current_name(module)}
    return next((value for key, value in pattern.items() if any(_fits(key, name) for name in names)), default)


def _fits(key: str, module: str) -> bool:
    return re.match(rf"(.*\.)?({key})$", module) is not None


def _check_patterns(options: _Options, modules: Mapping[str, Any], folder: Path) -> None:
    """Refuse patterns that cannot be searched, or that fit the modules' old names only: what they mean is unclear."""
    for entry in ("rank_pattern", "alpha_pattern"):
        for key in getattr(options, entry) or {}:
            if not _is_modest(key):
                raise PanelError(f"{folder / CONFIG}: {entry} names {key[:80]!r}, which is no pattern of module names")
            if any(_fits(key, name) for module in modules for name in (module, current_name(module))):
                continue
            if any(_fits(key, _old_name(module)) for module in modules):
                raise PanelError(
                    f"{folder / CONFIG}: {entry} names {key!r} as an older transformers does, but the weights have "
                    "today's names; convert the folder that was trained"
                )


def _is_modest(key: str) -> bool:
    """Whether a key is a regular expression that no name can keep busy: short, and no group is repeated."""
    try:
        re.compile(f"({key})")
    except re.error:
        return False
    return len(key) <= 200 and not re.search(r"\)[*+{?]", key) and len(re.findall(r"[*+{]", key)) <= 4
