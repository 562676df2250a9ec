"""Compute, before a training starts, how much memory and time it needs on given devices, and whether it fits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from mire.doctor.check import Check
from mire.doctor.training_cost import BytesPerNumber, LongestSample, Shape, TrainingCost, count_nodes
from mire.doctor.weights import GIB
from mire.labels import TASKS, Task
from mire.launch_options import Kind
from mire.model_sizes import base_config
from mire.settings import Quantize, Qwen2VL, Settings

N_TEXT = 350
"""Approximate tokens of an official prompt with its label list, without pictures: counted on real prompts. A compact
prompt is shorter."""
SHARE = 0.37
"""Share of a device's rate of plain matrix products that training is assumed to reach; of 790 TFLOP/s an H200 reached
0.37 to 0.40."""
RESERVE = 1.5 * GIB
"""Bytes of a GPU that CUDA itself and fragmentation are assumed to take."""
ROOM = 1.1
"""Training without gradient checkpoints is chosen, and settings are proposed, where so many times their computed memory
is there."""

FORMATS: tuple[Quantize, ...] = ("none", "int8", "nf4")
SHARES_OF_INPUT = (1, 0.75, 0.5, 0.25)
"""What a proposal leaves of the largest pictures and of the longest prompts."""
LEAST = {"max_pixels": 100_000, "max_tokens": 1024}


@dataclass(frozen=True)
class Machine:
    """Devices to train on: how many, GPUs or CPU processes, bytes of memory of each."""

    n_devices: int
    gpu: bool
    memory: float
    kind: Kind


def forecast(settings: Settings, machine: Machine, tflops: float) -> Iterator[Check]:
    """Memory and time of the Qwen2-VL experts' training, on devices of so many TFLOP/s each.

    Raises:
        SettingsError: the base's shape is unknown, or a batch cannot be divided among the devices.
    """
    from experts.registry import VOTERS

    shape = Shape.read(base_config(settings.qwen2vl.base))
    adapted = [task for task in TASKS if any(VOTERS[name].adapters for name in settings.panel.voters(task))]
    for task in TASKS:
        if task not in adapted:
            yield Check(f"{task:<9} no adapters in the panel: trained on the CPU, in minutes")
            continue
        plan = training_plan(settings, task, shape, machine)
        yield from _memory(task, plan, machine)
        yield from _time(settings, task, plan, tflops)
    if not all(_fits(training_plan(settings, task, shape, machine), machine) for task in adapted):
        yield _proposal(settings, adapted, shape, machine)


def longest_sample(settings: Settings, task: Task, shape: Shape) -> LongestSample:
    """The longest possible sample: a picture at the pixel limit, or a dialogue of ``max_tokens`` including pictures."""
    qwen2vl = settings.qwen2vl
    n_nodes = count_nodes(settings.taxonomy(task).labels)
    n_text = min(N_TEXT, qwen2vl.max_tokens // 2)
    n_visual = qwen2vl.max_tokens - n_text
    if task == "image":
        n_visual = min(n_visual, qwen2vl.max_pixels // shape.cell_pixels)
    return LongestSample(n_text, n_visual, n_nodes)


def training_plan(settings: Settings, task: Task, shape: Shape, machine: Machine) -> TrainingCost:
    """The training of the task's adapter on these devices; ``gradient_checkpointing: auto`` is decided."""
    plan = TrainingCost(
        shape=shape,
        row=longest_sample(settings, task, shape),
        lora=settings.qwen2vl.lora,
        training=settings.qwen2vl.training(task),
        kind=machine.kind,
        n_devices=machine.n_devices,
        width=_width(settings.qwen2vl.dtype, machine),
        quantize=settings.qwen2vl.quantize,
    )
    if plan.training.gradient_checkpointing != "auto":
        return plan
    without = _with_checkpoints(plan, on=False)
    # Shards are gathered once more for every checkpoint: there all devices must decide alike.
    fits = machine.kind == "ddp" and ROOM * sum(without.memory.values()) + RESERVE <= machine.memory
    return without if machine.gpu and fits else _with_checkpoints(plan, on=True)


def _with_checkpoints(plan: TrainingCost, *, on: bool) -> TrainingCost:
    return replace(plan, training=plan.training.model_copy(update={"gradient_checkpointing": on}))


def _width(dtype: str, machine: Machine) -> BytesPerNumber:
    if dtype == "auto":
        return 2 if machine.gpu else 4
    return 4 if dtype == "float32" else 2


def _memory(task: Task, plan: TrainingCost, machine: Machine) -> Iterator[Check]:
    row, training = plan.row, plan.training
    each, n_steps = training.share(plan.n_devices)
    yield Check(
        f"{task:<9} batch of {training.batch_size} = {plan.n_devices} devices x {each} samples x {n_steps}, "
        f"at most {row.n_text + row.n_visual:,} tokens each, {row.n_visual:,} of them visual, and {row.n_nodes} of the "
        f"label trie; {'with' if training.gradient_checkpointing else 'without'} gradient checkpoints"
    )
    parts = plan.memory
    yield Check(f"{task:<9} {_sizes(parts)} GiB; the last is the largest of {_sizes(plan.transient_bytes)}")
    name = "GPU" if machine.gpu else "process"
    text = f"{task:<9} in all {_need(plan, machine) / GIB:.1f} GiB of {machine.memory / GIB:.1f} per {name}"
    text += f", {RESERVE / GIB:.1f} of it for CUDA (assumed)" if machine.gpu else ""
    if _fits(plan, machine):
        yield Check(f"{text}: fits; computed, not measured")
    else:
        yield Check(f"{text}: does not fit; computed, not measured", "settings that fit are below")


def _proposal(settings: Settings, tasks: Sequence[Task], shape: Shape, machine: Machine) -> Check:
    """The first settings that fit: what changes answers least comes first, what costs time only is tried within it."""
    # A quantised base is not sharded.
    formats = FORMATS[FORMATS.index(settings.qwen2vl.quantize) :] if machine.kind == "ddp" else FORMATS[:1]
    for share, quantize in product(SHARES_OF_INPUT, formats):
        changed = _smaller(settings, share, quantize)
        found = [_fitting(changed, task, shape, machine) for task in tasks]
        if all(found):
            options = [*_changes(settings, changed), *(option for part in found if part for option in part)]
            return Check(f"fits with {' '.join(f'--set {option}' for option in options)}; computed, not measured")
    return Check("no settings that were tried fit", "--launch fsdp on several GPUs, larger GPUs, or a smaller base")


def _smaller(settings: Settings, share: float, quantize: Quantize) -> Settings:
    qwen2vl = settings.qwen2vl
    lower = {key: max(least, int(getattr(qwen2vl, key) * share)) for key, least in LEAST.items()}
    return settings.model_copy(update={Qwen2VL.voter: qwen2vl.model_copy(update={**lower, "quantize": quantize})})


def _changes(before: Settings, after: Settings) -> list[str]:
    pairs = ((key, getattr(after.qwen2vl, key)) for key in ("quantize", *LEAST))
    return [f"qwen2vl.{key}={value}" for key, value in pairs if value != getattr(before.qwen2vl, key)]


def _fitting(settings: Settings, task: Task, shape: Shape, machine: Machine) -> list[str] | None:
    """The task's fastest settings that fit: without checkpoints if possible, then as many samples at a time."""
    training = settings.qwen2vl.training(task)
    plain = training_plan(settings, task, shape, machine)
    wanted = training.gradient_checkpointing
    for checkpoints in [wanted] if wanted is True else [False, True]:
        for micro in range(training.micro_batch_size, 0, -1):
            options = {"micro_batch_size": micro, "gradient_checkpointing": checkpoints}
            tried = replace(plain, training=training.model_copy(update=options))
            if _fits(tried, machine, ROOM) and tried.micro_batch_size == min(
                micro, training.share(machine.n_devices)[0]
            ):
                changed = {key: value for key, value in options.items() if value != getattr(training, key)}
                return [f"qwen2vl.{task}.{key}={str(value).lower()}" for key, value in changed.items()]
    return None


def _need(plan: TrainingCost, machine: Machine, room: float = 1.0) -> float:
    """Bytes of a device that a training needs, if what is computed of them is ``room`` times as much."""
    return room * sum(plan.memory.values()) + (RESERVE if machine.gpu else 0)


def _fits(plan: TrainingCost, machine: Machine, room: float = 1.0) -> bool:
    return _need(plan, machine, room) <= machine.memory


def _sizes(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts.items())


def _time(settings: Settings, task: Task, plan: TrainingCost, tflops: float) -> Iterator[Check]:
    one = plan.seconds(1000, tflops * 1e12 * SHARE)
    qwen2vl = settings.qwen2vl
    of_final = {"refit": 1, "continue": qwen2vl.final_seeds / settings.folds, "merge": 0}[qwen2vl.final]
    n_epochs = plan.training.epochs * (qwen2vl.vote_folds * (settings.folds - 1) / settings.folds + of_final)
    yield Check(
        f"{task:<9} 1,000 such samples: at most {_duration(one)} per epoch, {_duration(one * n_epochs)} for the "
        f"{n_epochs:g} of folds and final adapter; computed from {tflops:g} TFLOP/s at {100 * SHARE:.0f} %, "
        "not measured"
    )


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.0f} h"
    )
