"""One training on several devices, one process per device; each holds the whole frozen base or a shard of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.inputs.batch import Batch
from experts.qwen2vl.inputs.pictures import MERGE
from experts.qwen2vl.model.device import default_device, number_format
from mire.errors import SettingsError
from mire.settings import Qwen2VL


def init_process() -> tuple[torch.device, int]:
    """Join the other processes of this training; returns this process's device and the number of processes."""
    from accelerate import PartialState

    state = PartialState(cpu=default_device() == "cpu")
    return state.device, int(state.num_processes)


def load_rank_base(settings: Qwen2VL, *, sharded: bool) -> Base:
    """The base on this process's device; on the CPU if ``sharded``: each device will hold only a part.

    On the CPU the weights are pages of the file, which all processes of a machine share and the system may drop:
    what is read of them is what is copied to the device, one layer at a time.

    Raises:
        SettingsError: the base is to be both quantised and sharded.
    """
    device, _ = init_process()
    if sharded:
        if settings.quantize != "none":
            raise SettingsError(
                f"qwen2vl.quantize={settings.quantize} cannot be sharded; train with --launch ddp: the quantised base "
                "fits whole on each GPU"
            )
        # In the GPU's format, which the settings leave open on a CPU.
        dtype = str(number_format(settings.dtype, str(device))).removeprefix("torch.")
        return load_base(settings.model_copy(update={"dtype": dtype}), device="cpu")
    return load_base(settings, device=str(device))


@contextmanager
def main_process_first() -> Iterator[None]:
    """The first process runs the block, then the others do: for files in a folder that all processes share."""
    from accelerate import PartialState

    with PartialState().main_process_first():
        yield


def shard_frozen_base(model: Any) -> None:
    """Cut the frozen weights of a PEFT model into one shard per process; each layer is gathered while it runs (FSDP2).

    The adapters stay whole on every device, and DDP averages their gradients: they are half a percent of the weights,
    and the checkpoints and the saved folder are then those of any other training. accelerate's own FSDP would cut the
    adapters too, and it does not run on CPUs: it looks for FSDP only where the processes have GPUs, and elsewhere
    silently trains under plain DDP.
    """
    from accelerate import accelerator
    from torch.distributed.fsdp import fully_shard

    # accelerate refuses DDP around sharded weights on several GPUs; DDP is told below to leave these alone.
    accelerator.model_has_dtensor = lambda _: False
    mesh = _mesh()
    learned = {parameter for parameter in model.parameters() if parameter.requires_grad}
    layers = set(model.get_base_model()._no_split_modules)
    # By the names of base classes, too: fast_modules.py derives the last layer's class.
    units = [module for module in model.modules() if layers & {kind.__name__ for kind in type(module).__mro__}]
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    # What is tied is one parameter, which the outermost module then shards.
    ends = () if embedding.weight is head.weight else (embedding, head)
    for unit in (*units, *ends, model):
        # By default the outermost module keeps its weights gathered, and the process that saves would reshard alone.
        fully_shard(unit, mesh=mesh, ignored_params=learned, reshard_after_forward=True)
    # DDP, which averages the adapters' gradients, must not overwrite one process's shards with another's.
    model._ddp_params_and_buffers_to_ignore = [
        name for name, parameter in model.named_parameters() if parameter not in learned
    ]


def _mesh() -> Any:
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (get_world_size(),))


def with_blank_picture(batch: Batch, image_pad: int, patch: int) -> Batch:
    """Append a one-token grey picture, masked from every token, to a batch without pictures.

    The processes of a training must exchange the same tensors in the same order, so every batch must pass the vision
    tower: there FSDP gathers the tower's layers, and DDP averages the gradients of its adapters.
    """
    if batch.pixels is not None:
        return batch
    return replace(
        batch,
        ids=torch.cat([batch.ids, batch.ids.new_full((1, 1), image_pad)], dim=1),
        positions=torch.cat([batch.positions, batch.positions.new_zeros(3, 1, 1)], dim=2),
        # As padding: nothing attends to it, and it is never read.
        layout=replace(batch.layout, n_padding=batch.layout.n_padding + 1),
        mm_token_type_ids=torch.cat([batch.mm_token_type_ids, batch.mm_token_type_ids.new_ones(1, 1)], dim=1),
        pixels=torch.full((MERGE * MERGE, 3 * patch * patch), 127, dtype=torch.uint8),
        grids=torch.tensor([[1, MERGE, MERGE]]),
    )
