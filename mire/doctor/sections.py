"""The doctor's report, section by section."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mire.budget import MAX_PARAMETERS, ParameterCount
from mire.doctor.check import Check
from mire.doctor.machine import free_memory, machine, memory
from mire.doctor.packages import bad_pairs, packages
from mire.doctor.panel import panel_lines
from mire.doctor.weights import GIB, weights
from mire.launch_options import Kind
from mire.panel_folder import PanelFolder
from mire.settings import Settings

if TYPE_CHECKING:
    from mire.doctor.forecast import Machine

Section = tuple[str, Iterable[Check]]


@dataclass(frozen=True)
class Plan:
    """A training to forecast: its launch, the devices, and each one's GiB and TFLOP/s (None: this machine's)."""

    kind: Kind
    n_devices: int | None
    memory_gib: float | None
    tflops: float

    @property
    def asked(self) -> bool:
        """Whether devices were named, and so a forecast is wanted."""
        return bool(self.n_devices or self.memory_gib)

    def machine(self) -> "Machine":
        """The devices that were named: those of this machine, or others."""
        import torch

        from mire.doctor.forecast import Machine

        n_devices = self.n_devices or torch.cuda.device_count() or 1
        gpu = bool(self.memory_gib) or torch.cuda.is_available()
        if self.memory_gib:
            each = self.memory_gib * GIB
        else:
            each = torch.cuda.mem_get_info(0)[0] if gpu else free_memory() / n_devices
        return Machine(n_devices, gpu, each, self.tflops, self.kind)


def sections(panel: PanelFolder | None, settings: Settings | None, plan: Plan) -> Iterator[Section]:
    """Title and checks of each section, as they are made.

    Raises:
        BudgetError: after everything else, where the configuration has too many parameters.
    """
    yield "machine", machine()
    yield "packages", packages()
    yield "pairs", bad_pairs()
    if panel:
        yield f"panel {panel.root}", panel_lines(panel)
    if settings:
        # Late: a machine whose torch cannot be imported is told so above.
        from experts.registry import count_parameters
        from mire.doctor.forecast import forecast

        count = count_parameters(settings)
        yield f"weights of {settings.name}", weights(settings)
        yield f"memory for {settings.name}", [memory(count)]
        yield f"parameters of {settings.name}", budget(count)
        if plan.asked:
            yield f"training {settings.name}", forecast(settings, plan.machine())
        count.check()


def budget(count: ParameterCount) -> Iterator[Check]:
    """The parameter budget, line by line."""
    for part, n_parameters in count.parts.items():
        yield Check(f"{part:<36} {n_parameters:>15,}")
    fits = count.total < MAX_PARAMETERS
    yield Check(
        f"{'sum':<36} {count.total:>15,}  {'fits' if fits else 'IS OVER THE LIMIT'}: fewer than {MAX_PARAMETERS:,} "
        "are allowed",
        "" if fits else "take a voter out of the panel, or a smaller base or CLIP model",
    )
