"""One training over several devices: a process each, the frozen base whole on each of them or cut into shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from experts.qwen2vl.base import Base, base_source, load_base
from experts.qwen2vl.inputs.batch import Batch
from experts.qwen2vl.inputs.pictures import MERGE
from mire.settings import Qwen2VL


def init_process() -> tuple[torch.device, int]:
    """Meet the other processes of this training: this one's device, and how many there are."""
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return state.device, int(state.num_processes)


def load_rank_base(settings: Qwen2VL, *, sharded: bool) -> Base:
    """The base on this process's device; in the machine's memory where each device is to hold a part of it only."""
    device, _ = init_process()
    with main_process_first():
        base_source(settings.base)  # builds nano once, where it is missing
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return load_base(settings, device="cpu" if sharded else str(device), dtype=dtype)


@contextmanager
def main_process_first() -> Iterator[None]:
    """The first process runs the block, then the others do: for what is written into a folder that all share."""
    from accelerate import PartialState

    with PartialState().main_process_first():
        yield


def shard_frozen_base(model: Any) -> None:
    """Cut the frozen weights of a PEFT model into one shard a process; each layer is gathered while it runs (FSDP2).

    The adapters stay whole on every device and their gradients are averaged as under DDP: they are half a percent
    of the weights, and so checkpoints and the saved folder are those of any other training. accelerate's own FSDP
    would cut them too, and does not run on CPUs: its state only looks for FSDP where the processes have GPUs, and
    trains under plain DDP elsewhere, without a word.
    """
    from torch.distributed.fsdp import fully_shard

    mesh = _mesh()
    learned = {parameter for parameter in model.parameters() if parameter.requires_grad}
    layers = set(model.get_base_model()._no_split_modules)
    # By their kinds' names, too: the last layer is one that shortcuts.py derives.
    units = [module for module in model.modules() if layers & {kind.__name__ for kind in type(module).__mro__}]
    for unit in (*units, model.get_input_embeddings(), model.get_output_embeddings(), model):
        # By default the outermost keeps its weights, and the process that saves would put its own away alone.
        fully_shard(unit, mesh=mesh, ignored_params=learned, reshard_after_forward=True)
    # DDP, which averages the adapters, must not broadcast the shards over one another.
    model._ddp_params_and_buffers_to_ignore = [
        name for name, parameter in model.named_parameters() if parameter not in learned
    ]


def _mesh() -> Any:
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (get_world_size(),))


def with_blank_picture(batch: Batch, image_pad: int, pad: int) -> Batch:
    """The batch with a grey picture of one token before its first row, which nothing looks at, if it has no picture.

    The processes of a training exchange the same tensors in the same order or wait for ever, so every batch must
    pass the vision tower: its layers are gathered there (FSDP), its adapters' gradients averaged (DDP).
    """
    if batch.pixels is not None:
        return batch
    n_rows, width = batch.ids.shape
    ids = torch.cat([torch.full((n_rows, 1), pad), batch.ids], dim=1)
    ids[0, 0] = image_pad
    mask = torch.zeros(n_rows, 1, width + 1, width + 1, dtype=torch.bool)
    mask[:, :, 0, 0] = True
    mask[:, :, 1:, 1:] = batch.mask
    side = MERGE
    return replace(
        batch,
        ids=ids,
        positions=torch.cat([torch.zeros(3, n_rows, 1, dtype=torch.int64), batch.positions], dim=2),
        mask=mask,
        mm_token_type_ids=(ids == image_pad).int(),
        pixels=torch.full((side * side, 3 * 14 * 14), 127, dtype=torch.uint8),
        grids=torch.tensor([[1, side, side]]),
    )
