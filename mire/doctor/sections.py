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
    """A training to forecast: launch kind, number of devices, GiB (None: this machine's) and TFLOP/s per device."""

    kind: Kind
    n_devices: int | None
    memory_gib: float | None
    tflops: float

    @property
    def asked(self) -> bool:
        """Whether a forecast is wanted: devices or their memory were given."""
        return bool(self.n_devices or self.memory_gib)

    def machine(self) -> "Machine":
        """The devices to forecast for; what was not given is taken from this machine."""
        import torch

        from mire.doctor.forecast import Machine

        n_devices = self.n_devices or torch.cuda.device_count() or 1
        gpu = bool(self.memory_gib) or torch.cuda.is_available()
        if self.memory_gib:
            each = self.memory_gib * GIB
        else:
            each = torch.cuda.mem_get_info(0)[0] if gpu else free_memory() / n_devices
        return Machine(n_devices, gpu, each, self.kind)


def sections(panel: PanelFolder | None, settings: Settings | None, plan: Plan) -> Iterator[Section]:
    """Yield title and checks of each section; a section is computed when it is reached.

    Raises:
        BudgetError: after the last section, if the configuration has too many parameters.
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
        yield f"memory for {settings.name}", [memory(count, settings)]
        yield f"parameters of {settings.name}", budget(count)
        if plan.asked:
            yield f"training {settings.name}", forecast(settings, plan.machine(), plan.tflops)
        count.check()


def budget(count: ParameterCount) -> Iterator[Check]:
    """The parameter budget, line by line."""
    for part, n_parameters in count.parts.items():
        yield Check(f"{part:<36} {n_parameters:>15,}")
    fits = count.total < MAX_PARAMETERS
    yield Check(
        f"{'sum':<36} {count.total:>15,}  {'fits' if fits else 'IS OVER THE LIMIT'}: fewer than {MAX_PARAMETERS:,} "
        "are allowed",
        "" if fits else "remove a voter from the panel, or use a smaller base or CLIP model",
    )
