"""A configuration: one frozen model per stage, read from YAML, every fault reported together."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mire.atomic_files import write_text
from mire.errors import SettingsError, one_line, quoted
from mire.images import MAX_DECODED_PIXELS
from mire.labels import TASKS, Task, Taxonomy, builtin_taxonomy, load_taxonomy

Rule = Literal["log_linear", "majority"]
"""How votes are pooled; ``ensemble.voting.pooling.RULES`` holds the function behind each name."""

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Quantize = Literal["none", "int8", "nf4"]
HOW_TO_COMPUTE = ("dtype", "quantize", "adapters", "token_budget", "compile")
"""Entries of ``qwen2vl`` that change how an answer is computed, and nothing that was trained: answers differ in their
last bits, or as far as a quantised base differs."""
AT_PREDICTION = tuple(f"qwen2vl.{key}" for key in (*HOW_TO_COMPUTE, "input_workers"))
"""Entries that a prediction may override."""


def _in_order(grams: tuple[int, int]) -> tuple[int, int]:
    if grams[0] > grams[1]:
        raise ValueError(f"the shortest n-gram comes first, got {list(grams)}")
    return grams


Grams = Annotated[tuple[Count, Count], AfterValidator(_in_order)]
"""Characters of the shortest and of the longest n-gram."""

_LANGUAGE = r"language_model\..*\.(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
# Of all families: Qwen2-VL's fc1, Qwen2.5-VL's gate_proj, Qwen3-VL's linear_fc1; mlp.0 is in the first two's merger.
_VISION = r"visual\..*\.(?:qkv|proj|(?:linear_)?fc[12]|mlp\.[02]|(?:gate|up|down)_proj)"


class Stage(BaseModel):
    """A part of the settings: frozen, without unknown entries."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VoterStage(Stage):
    """One voter's choices. ``voter`` is its name in ``panel``; ``tasks`` are those that it can vote on.

    ``follows`` names the voter before it in ``panel`` whose pass it votes on, without a model call of its own.
    """

    voter: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]]
    follows: ClassVar[str | None] = None


class Lora(Stage):
    """LoRA adapters (https://arxiv.org/abs/2106.09685); ``vision`` also adapts the picture tower."""

    rank: int = Field(16, ge=1, le=512)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    vision: bool = False

    @property
    def target_modules(self) -> str:
        """PEFT's pattern of the linear layers that get an adapter: the language model's, or the tower's too."""
        return rf".*(?:{_LANGUAGE}|{_VISION})" if self.vision else rf".*{_LANGUAGE}"


class Training(Stage):
    """How an adapter is trained: for ``epochs``, whose last one is kept. No held-out sample decides when to stop.

    ``batch_size`` is the global batch: the samples per change of the weights, on any number of devices.
    ``micro_batch_size`` bounds the samples that a device takes at a time. ``gradient_checkpointing`` computes
    activations twice instead of keeping them: a quarter slower, in 30 to 40 % of the memory (docs/RESULTS.md);
    ``auto`` keeps them where those of the longest samples fit into the GPU.

    These are off by default; the first three need the loss ``label_set``. ``label_smoothing`` is the share of the
    target that all labels get (https://arxiv.org/abs/1512.00567, section 7). ``brier`` times the squared error of the
    probabilities is added (Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2). With
    ``r_drop`` each batch passes twice, with other dropout masks: to the mean of both losses ``r_drop`` times half the
    sum of both KL divergences between the labels' probabilities is added (R-Drop, https://arxiv.org/abs/2106.14448,
    whose alpha, beside the sum of both losses, is twice as much); almost twice the time and the activations. With
    ``class_weights`` ``balanced`` all labels count the same, however many samples they have (King and Zeng 2001,
    https://doi.org/10.1093/oxfordjournals.pan.a004868). The adapter is the average of the weights over the steps: with
    ``ema`` each step counts that factor less than the next (https://doi.org/10.1137/0330046); with ``average_from`` all
    steps after that share of them count the same (https://arxiv.org/abs/1803.05407). The figures per epoch are those of
    the last weights.
    """

    epochs: float = Field(3, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    batch_size: int = Field(16, ge=1)
    micro_batch_size: int = Field(4, ge=1)
    gradient_checkpointing: bool | Literal["auto"] = True
    loss: Literal["sft", "label_set"] = "label_set"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    brier: Weight = 0.0
    r_drop: Weight = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    ema: float = Field(0.0, ge=0, lt=1)
    average_from: Share = 1.0

    @model_validator(mode="before")
    @classmethod
    def _without_patience(cls, entries: Any) -> Any:
        """Drop ``patience``, which settings of earlier panels hold: the number of epochs is fixed now."""
        if isinstance(entries, dict):
            entries = {key: value for key, value in entries.items() if key != "patience"}
        return entries

    @model_validator(mode="after")
    def _fitting_together(self) -> "Training":
        if self.loss == "sft" and (self.label_smoothing or self.brier or self.r_drop):
            raise ValueError("label_smoothing, brier and r_drop need loss: label_set, since sft compares no labels")
        if self.ema and self.average_from < 1:
            raise ValueError("ema and average_from are two ways to average the weights; remove one of them")
        return self

    @property
    def n_passes(self) -> int:
        """How often a batch passes the model before its loss is computed."""
        return 2 if self.r_drop else 1

    @property
    def averaged(self) -> bool:
        """Whether the adapter is an average over steps."""
        return self.ema > 0 or self.average_from < 1

    def share(self, n_devices: int) -> tuple[int, int]:
        """Samples that each of ``n_devices`` takes at a time, and how many times it does so before the weights change.

        Devices, samples and times multiply to ``batch_size``.

        Raises:
            SettingsError: the batch cannot be divided among so many devices.
        """
        of_one, rest = divmod(self.batch_size, n_devices)
        if rest:
            fitting = ", ".join(str(n) for n in range(1, self.batch_size + 1) if self.batch_size % n == 0)
            raise SettingsError(
                f"a batch of {self.batch_size} cannot be divided among {n_devices} devices; train on {fitting} of them "
                "(--devices), or set another batch_size"
            )
        micro = max(n for n in range(1, min(self.micro_batch_size, of_one) + 1) if of_one % n == 0)
        return micro, of_one // micro


class Qwen2VL(VoterStage):
    """The vision-language experts. ``base`` is ``nano``, a folder, or a hub name: a Qwen2-VL, Qwen2.5-VL or Qwen3-VL.

    ``max_pixels`` bounds a picture after resizing; 28x28 pixels (Qwen3-VL: 32x32) become one token. ``max_tokens``
    bounds a prompt; a longer dialogue loses its oldest turns. ``resize`` says whose picture sizes an adapter is trained
    with; one that is loaded brings its own. ``token_budget`` bounds a packed row, label trie included.

    ``dtype`` is the weights' number format; ``auto`` is bfloat16 on a GPU and float32 on a CPU. ``adapters`` says
    whether an adapter is merged into the base's weights for prediction or stays apart; ``auto`` merges in float32,
    where rounding takes nothing from it. ``quantize`` stores the language model's matrices in 8 or 4 bits, for
    prediction and for training (QLoRA); adapters stay apart then.

    Two entries change the speed and no answer: ``compile`` compiles the layers for prediction; ``input_workers``
    processes decode pictures ahead of the model (0: none; left out: beside a GPU one per CPU core, at most 16, else
    threads).

    ``vote_folds`` of the folds get out-of-fold votes, each by an adapter that is trained on all others. The
    ``final`` adapter is trained on all samples, in the same way (``refit``); or it is the first fold's, trained on all
    samples for ``epochs / folds`` further epochs (``continue``); or the average of the folds' adapters (``merge``).
    With ``final_seeds`` above 1 that many continue it, with ``seed``, ``seed + 1`` and so on, and are averaged exactly,
    into so many times the rank: runs that share their start average well (https://arxiv.org/abs/2203.05482).
    """

    voter = "qwen2vl"
    tasks = TASKS

    base: str = "Qwen/Qwen2-VL-7B-Instruct"
    layout: Literal["official", "compact"] = "official"
    min_pixels: int = Field(3136, ge=28 * 28)
    max_pixels: int = Field(900_000, ge=28 * 28)
    max_tokens: int = Field(4096, ge=64)
    resize: Literal["qwen2vl", "llamafactory"] = "qwen2vl"
    token_budget: int = Field(16_384, ge=64)
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    quantize: Quantize = "none"
    adapters: Literal["auto", "apart", "merged"] = "auto"
    compile: bool = False
    input_workers: int | None = Field(None, ge=0, le=64)
    lora: Lora = Lora()
    vote_folds: int = Field(1, ge=1)
    final: Literal["refit", "continue", "merge"] = "refit"
    final_seeds: Count = 1
    image: Training = Training()
    dialogue: Training = Training()

    @model_validator(mode="before")
    @classmethod
    def _without_attention(cls, entries: Any) -> Any:
        """Drop ``attention``, which settings of earlier panels hold: all rows are packed now."""
        if not isinstance(entries, dict) or "attention" not in entries:
            return entries
        if entries["attention"] != "packed":
            raise ValueError(
                f"attention {entries['attention']!r} no longer exists; remove the entry: "
                "packed rows give the same answers"
            )
        return {key: value for key, value in entries.items() if key != "attention"}

    @model_validator(mode="after")
    def _pixels_in_order(self) -> "Qwen2VL":
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels ({self.min_pixels}) must not exceed max_pixels ({self.max_pixels})")
        return self

    @model_validator(mode="after")
    def _quantised_apart(self) -> "Qwen2VL":
        if self.quantize != "none" and self.adapters == "merged":
            raise ValueError(f"quantize {self.quantize} keeps adapters apart; remove adapters: merged")
        return self

    @model_validator(mode="after")
    def _two_different_passes(self) -> "Qwen2VL":
        if self.lora.dropout == 0 and (self.image.r_drop or self.dialogue.r_drop):
            raise ValueError("r_drop needs lora.dropout above 0: without it both passes of a batch are equal")
        return self

    @model_validator(mode="after")
    def _seeds_of_a_continued_adapter(self) -> "Qwen2VL":
        if self.final_seeds > 1 and self.final != "continue":
            raise ValueError(f"final_seeds {self.final_seeds} needs final: continue; final is {self.final}")
        return self

    def training(self, task: Task) -> Training:
        return self.image if task == "image" else self.dialogue


class Trees(Stage):
    """LightGBM's boosting, under its own names: each round adds one tree per label.

    With ``bagging_fraction`` below 1 every tree sees another share of the samples.
    """

    rounds: Count = 60
    learning_rate: Positive = 0.1
    num_leaves: Annotated[int, Field(ge=2)] = 7
    min_data_in_leaf: Count = 5
    feature_fraction: Share = 0.3
    bagging_fraction: Share = 1.0
    lambda_l2: Weight = 1.0
    max_bin: Annotated[int, Field(ge=2)] = 255

    @property
    def parameters(self) -> dict[str, Any]:
        """What ``lightgbm.train`` is given, besides the rounds, the classes and the seed."""
        return {
            **self.model_dump(exclude={"rounds"}),
            "objective": "multiclass",
            "bagging_freq": int(self.bagging_fraction < 1),
            "verbosity": -1,
            # Both are needed for the same trees on every run.
            "deterministic": True,
            "force_row_wise": True,
        }


class Clip(VoterStage):
    """The picture embedding: an open_clip model, its weights by tag, or a file; ``random`` is fixed by the seed.

    ``trees`` classify it.
    """

    voter = "clip_lightgbm"
    tasks = ("image",)

    model: str = "ViT-L-14"
    weights: str = "openai"
    batch_size: int = Field(32, ge=1)
    trees: Trees = Trees()


class ScreenTrees(Trees):
    """The trees over a screen's features."""

    rounds: Count = 160
    learning_rate: Positive = 0.06
    min_data_in_leaf: Count = 3
    feature_fraction: Share = 0.15
    bagging_fraction: Share = 0.8
    lambda_l2: Weight = 2.0
    max_bin: Annotated[int, Field(ge=2)] = 63


class ScreenText(VoterStage):
    """The text on a screen: a linear model and trees, averaged; the linear one has ``linear_share`` of the average.

    A weight says how freely the linear model may use a block of features: the character n-grams of the whole screen
    (``grams``) and of its parts (``zone_grams``), each found on ``min_count`` screens or more, the layout, the phrase
    groups, and of the phrases their share of a line, their number and their prominence. ``inverse_penalty`` is
    scikit-learn's ``C``. The trees see the n-grams as ``topics`` numbers.
    """

    voter = "screen_text"
    tasks = ("image",)

    grams: Grams = (1, 3)
    zone_grams: Grams = (2, 3)
    min_count: Count = 2
    text_weight: Weight = 1.0
    zone_weight: Weight = 0.6
    layout_weight: Weight = 0.05
    group_weight: Weight = 0.1
    phrase_weights: tuple[Weight, Weight, Weight] = (0.1, 0.03, 0.05)
    inverse_penalty: Positive = 20.0
    linear_share: float = Field(0.5, ge=0, le=1)
    topics: Count = 40
    trees: ScreenTrees = ScreenTrees()


class PhraseWeights(Stage):
    """How freely the model may use the lexicon's phrases, by where they stand."""

    question: Weight = 0.1
    earlier: Weight = 0.1
    answer: Weight = 0.1
    earlier_answers: Weight = 0.05


class DialogueText(VoterStage):
    """A dialogue's text: ridge regression on character n-grams and on the lexicon's phrases.

    ``question_weight`` and ``exchange_weight`` say how freely it may use the n-grams of the last question, and of
    question and answer together. ``sharpness`` makes probabilities of its scores. It also learns from made-up turns: a
    template of the lexicon counts as ``template_weight`` labelled dialogues, spread over at most ``template_variants``
    of its variants, and one of ``turns.json`` as ``turn_weight``; at zero there are none.
    """

    voter = "dialogue_text"
    tasks = ("dialogue",)

    grams: Grams = (1, 2)
    question_weight: Weight = 0.7
    exchange_weight: Weight = 1.0
    phrase_weights: PhraseWeights = PhraseWeights()
    penalty: Positive = 0.3
    sharpness: Positive = 6.0
    template_weight: Weight = 0.5
    template_variants: Count = 6
    turn_weight: Weight = 0.3


class Ridge(Stage):
    """Ridge regression on a text's vectors and its character n-grams.

    ``embedding_weight`` says how freely it may use vectors beside n-grams. A label's name and description, as one text,
    count as ``description_weight`` examples. ``fine_tune`` first trains the encoder's upper layers on the examples,
    where the median label has four in every fold: that takes minutes, and the panel keeps the layers.
    """

    fine_tune: bool = False
    embedding_weight: Positive = 2.0
    description_weight: Positive = 4.0
    penalty: Positive = 2.0


class ScreenRidge(Ridge):
    """The same on the text of a screen."""

    embedding_weight: Positive = 0.7
    penalty: Positive = 8.0


class TextEmbedding(VoterStage):
    """A text's meaning: ridge regression on a sentence encoder's vectors and on character n-grams.

    ``encoder`` is ``multilingual-e5-small``, a folder, or a hub name; ``pooling`` and ``prefix`` are how its makers use
    it. It encodes the first ``max_characters`` of a dialogue's last question, of question and answer together, and of
    the text on a screen. Each of a label's made-up turns counts as ``draft_weight`` examples; ``sharpness`` makes
    probabilities of the regression's scores. Each task has a regression of its own.
    """

    voter = "text_embedding"
    tasks = TASKS

    encoder: str = "multilingual-e5-small"
    pooling: Literal["mean", "cls"] = "mean"
    prefix: str = "query: "
    max_characters: Count = 120
    grams: Grams = (1, 2)
    draft_weight: Weight = 0.3
    sharpness: Positive = 6.0
    image: ScreenRidge = ScreenRidge()
    dialogue: Ridge = Ridge()

    @model_validator(mode="before")
    @classmethod
    def _for_both_tasks(cls, entries: Any) -> Any:
        """Entries of a regression that settings of earlier panels hold once are those of both tasks."""
        if not isinstance(entries, dict):
            return entries
        once = {key: entries[key] for key in Ridge.model_fields if key in entries}
        rest = {key: value for key, value in entries.items() if key not in once}
        own = {task: rest.get(task, {}) for task in TASKS}
        return rest | {task: once | each if isinstance(each, dict) else each for task, each in own.items()}

    def ridge(self, task: Task) -> Ridge:
        return self.image if task == "image" else self.dialogue


class Neighbours(VoterStage):
    """The labels of the training samples whose hidden states are most like the sample's, in the pass of ``qwen2vl``.

    A state's share of the vote is the softmax of its cosine similarity divided by ``temperature``.
    """

    voter = "neighbours"
    tasks = TASKS
    follows = Qwen2VL.voter

    temperature: Positive = 0.02


class Panel(Stage):
    """The voters of each task, by name."""

    image: tuple[str, ...] = Field(min_length=1)
    dialogue: tuple[str, ...] = Field(min_length=1)

    @field_validator("image", "dialogue")
    @classmethod
    def _distinct(cls, voters: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(voters)) < len(voters):
            raise ValueError(f"a voter may be named once per task, got {', '.join(voters)}")
        return voters

    def voters(self, task: Task) -> tuple[str, ...]:
        return self.image if task == "image" else self.dialogue

    @property
    def names(self) -> tuple[str, ...]:
        """Every voter of the panel, once."""
        return tuple(dict.fromkeys(self.image + self.dialogue))


class TaxonomyFiles(Stage):
    """Label files of one's own, beside the configuration or by path; the challenge's where none is named."""

    image: Path | None = None
    dialogue: Path | None = None


class Settings(Stage):
    """Everything that decides how a panel is trained and how it answers.

    ``panel`` names voters by the ``voter`` of their stages; ``vote`` names the rule that pools their votes.
    ``weights`` fixes a task's vote; a task that it does not name gets weights fitted on out-of-fold votes.
    A picture of more than ``max_decoded_pixels`` is refused before it is decoded.
    """

    name: str
    seed: int = 7
    max_decoded_pixels: int = Field(MAX_DECODED_PIXELS, ge=1, le=MAX_DECODED_PIXELS)
    folds: int = Field(5, ge=2, le=20)
    panel: Panel
    qwen2vl: Qwen2VL = Qwen2VL()
    clip: Clip = Clip()
    screen_text: ScreenText = ScreenText()
    dialogue_text: DialogueText = DialogueText()
    text_embedding: TextEmbedding = TextEmbedding()
    neighbours: Neighbours = Neighbours()
    vote: Rule = "log_linear"
    weights: dict[Task, dict[str, float]] = {}
    taxonomies: TaxonomyFiles = TaxonomyFiles()

    @classmethod
    def stages(cls) -> dict[str, type[VoterStage]]:
        """The stage of each voter, by the entry that holds it."""
        kinds = {entry: field.annotation for entry, field in cls.model_fields.items()}
        return {entry: kind for entry, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, VoterStage)}

    def stage(self, voter: str) -> Any:
        """One voter's choices: an instance of its stage.

        Raises:
            KeyError: no stage has this voter.
        """
        return getattr(self, {kind.voter: entry for entry, kind in self.stages().items()}[voter])

    def with_stage(self, stage: VoterStage) -> "Settings":
        """The same settings with other choices for one voter."""
        (entry,) = [entry for entry, kind in self.stages().items() if isinstance(stage, kind)]
        return self.model_copy(update={entry: stage})

    @field_validator("panel")
    @classmethod
    def _known_voters(cls, panel: Panel) -> Panel:
        faults: list[str] = []
        follows = {kind.voter: kind.follows for kind in cls.stages().values()}
        for task in TASKS:
            known = [kind.voter for kind in cls.stages().values() if task in kind.tasks]
            faults += [_unknown_voter(name, task, known) for name in panel.voters(task) if name not in known]
            faults += _leaderless(task, panel.voters(task), follows)
        if faults:
            raise ValueError("; ".join(faults))
        return panel

    @model_validator(mode="after")
    def _enough_folds(self) -> "Settings":
        if self.qwen2vl.vote_folds > self.folds:
            raise ValueError(f"qwen2vl.vote_folds ({self.qwen2vl.vote_folds}) must not exceed folds ({self.folds})")
        return self

    @model_validator(mode="after")
    def _weights_of_the_panel(self) -> "Settings":
        for task, weights in self.weights.items():
            unknown = weights.keys() - set(self.panel.voters(task))
            if unknown:
                raise ValueError(f"weights.{task} names {', '.join(sorted(unknown))}, not in panel.{task}")
            if min(weights.values(), default=0) < 0 or not any(weights.values()):
                raise ValueError(f"weights.{task} must not be negative and not all zero, got {weights}")
        return self

    def taxonomy(self, task: Task) -> Taxonomy:
        """The task's labels: the file that the settings name, or the challenge's.

        Raises:
            SettingsError: the file breaks the format or belongs to the other task.
        """
        path = self.taxonomies.image if task == "image" else self.taxonomies.dialogue
        if path is None:
            return builtin_taxonomy(task)
        taxonomy = load_taxonomy(path)
        if taxonomy.task != task:
            raise SettingsError(f"{path} holds {taxonomy.task} labels but is named for the {task} task")
        return taxonomy


def _leaderless(task: Task, names: Sequence[str], follows: Mapping[str, str | None]) -> Iterator[str]:
    """The fault of each voter that is named before the voter it follows, or without it."""
    for index, name in enumerate(names):
        if (leader := follows.get(name)) and leader not in names[:index]:
            yield f"{task}: {name} votes on the pass of {leader}: name {leader} before it"


def _unknown_voter(name: str, task: Task, known: Sequence[str]) -> str:
    like = get_close_matches(name, known, n=1)
    return f"{task} has no voter {name!r}, " + (
        f"did you mean {like[0]!r}?" if like else f"known are {', '.join(known)}"
    )


def builtin_names() -> tuple[str, ...]:
    """Names of the configurations that ship with the package."""
    folder = resources.files("mire").joinpath("configs")
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_settings(name_or_file: str, overrides: Sequence[str] = ()) -> Settings:
    """A configuration by its name, or from a YAML or JSON file; ``overrides`` are ``key.key=value``, in YAML.

    Raises:
        SettingsError: no such name or file, broken YAML, unknown or invalid entries; all are named.
    """
    if name_or_file in builtin_names():
        text = resources.files("mire").joinpath("configs", f"{name_or_file}.yaml").read_text(encoding="utf-8")
    elif Path(name_or_file).is_file():
        text = Path(name_or_file).read_text(encoding="utf-8-sig", errors="replace")
    else:
        raise SettingsError(f"a configuration is one of {', '.join(builtin_names())} or a file, got {name_or_file!r}")
    return _parse(text, name_or_file, overrides)


def check_at_prediction(overrides: Sequence[str]) -> None:
    """Refuse to override what a panel was trained with.

    Raises:
        SettingsError: names the entry, and those that may be overridden.
    """
    for override in overrides:
        if (key := override.partition("=")[0]) not in AT_PREDICTION:
            raise SettingsError(
                f"--set {key}: a panel predicts with the settings that it was trained with; only "
                f"{', '.join(AT_PREDICTION)} may differ"
            )


def save_settings(settings: Settings, path: Path) -> None:
    """Write settings as JSON, which ``load_settings`` reads."""
    write_text(path, settings.model_dump_json(indent=2) + "\n")


def differences(before: Settings, after: Settings) -> list[str]:
    """What two settings do not share, as ``clip.batch_size 32, now 64``."""
    old, new = (dict(_flat(settings.model_dump(mode="json"))) for settings in (before, after))
    keys = [key for key in old | new if old.get(key) != new.get(key)]
    return [f"{key} {quoted(old.get(key))}, now {quoted(new.get(key))}" for key in keys]


def _flat(stage: dict[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Each entry under a stage by its whole name."""
    for key, value in stage.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def _parse(text: str, name: str, overrides: Sequence[str]) -> Settings:
    body = _body(text, name)
    _find_taxonomies(body, Path(name).parent)
    for override in overrides:
        _override(body, override)
    try:
        return Settings.model_validate(body)
    except ValidationError as error:
        faults = "; ".join(_fault(fault["loc"], fault["type"], fault["msg"]) for fault in error.errors())
        raise SettingsError(f"{name}: {faults}") from error


def _body(text: str, name: str) -> Any:
    """The values of a YAML text. JSON, a panel's format, is tried first: it is read many times faster."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return read_yaml(text, name)


def read_yaml(text: str, name: str) -> Any:
    """The values of a YAML text; errors call it ``name``.

    Raises:
        SettingsError: it is not YAML, or a value in it does not fit its tag.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except Exception as error:  # the 13th month, or "!!bool x", raises anything there
        raise SettingsError(f"{name} is not valid YAML: {one_line(error)}") from error


def _find_taxonomies(body: Any, folder: Path) -> None:
    """Replace the names of label files that lie beside the configuration by their paths; others stay as they are."""
    named = body.get("taxonomies") if isinstance(body, dict) else None
    if isinstance(named, dict):
        beside = {task: folder / path for task, path in named.items() if isinstance(path, str)}
        named.update({task: str(path) for task, path in beside.items() if path.is_file()})


def _override(body: dict[str, Any], override: str) -> None:
    """Set one ``key.key=value`` among a file's values, in place."""
    where, told, value = override.partition("=")
    *stages, key = where.split(".")
    for stage in stages:
        body = body.setdefault(stage, {}) if isinstance(body, dict) else body
    if not told or not isinstance(body, dict):
        raise SettingsError(f"--set takes KEY=VALUE, as qwen2vl.max_pixels=600000, got {override!r}")
    body[key] = read_yaml(value, f"--set {where}")


def _fault(place: tuple[int | str, ...], kind: str, message: str) -> str:
    """What is wrong with one entry; for an unknown key the known key with the most similar name."""
    where = ".".join(map(str, place))
    if kind != "extra_forbidden":
        return f"{where}: {message}"
    known = _keys(place[:-1])
    like = get_close_matches(str(place[-1]), known, n=1)
    return f"{where}: no such entry, " + (f"did you mean {like[0]!r}?" if like else f"known are {', '.join(known)}")


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The keys of the stage at a place in the settings."""
    stage: type[BaseModel] = Settings
    for key in place:
        stage = cast(type[BaseModel], stage.model_fields[str(key)].annotation)
    return list(stage.model_fields)
