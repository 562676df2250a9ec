"""Say what is on this machine and whether a configuration fits the challenge's limits.

python -m mire.doctor [--config qwen2-vl-7b] [--panel runs/p]
"""

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mire.budget import MAX_PARAMETERS, ParameterCount
from mire.cli import parser, run
from mire.labels import TASKS
from mire.panel_folder import PanelFolder
from mire.settings import Settings, load_settings

PACKAGES = (
    "torch", "torchvision", "transformers", "peft", "accelerate", "open_clip_torch", "lightgbm", "scikit-learn",
    "skops", "pillow", "rapidocr", "onnxruntime",
)  # fmt: skip


def machine() -> Iterator[str]:
    """Python, cores, memory, device."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield f"python       {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield f"cpu          {os.cpu_count()} cores, {memory:.0f} GiB memory"
    if not torch.cuda.is_available():
        yield "gpu          none: the 7B configuration needs one, nano and cpu do not"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"gpu {index}        {properties.name}, {properties.total_memory / 2**30:.0f} GiB"


def packages() -> Iterator[str]:
    """Installed versions; a missing package is named."""
    for name in PACKAGES:
        try:
            yield f"{name:<16} {version(name)}"
        except PackageNotFoundError:
            yield f"{name:<16} missing: pip install {name}"


def budget(count: ParameterCount) -> Iterator[str]:
    """The parameter budget, line by line."""
    for part, n_parameters in count.parts.items():
        yield f"{part:<36} {n_parameters:>15,}"
    verdict = "fits" if count.total < MAX_PARAMETERS else "IS OVER THE LIMIT"
    yield f"{'sum':<36} {count.total:>15,}  {verdict}: fewer than {MAX_PARAMETERS:,} are allowed"


def panel_lines(panel: PanelFolder) -> Iterator[str]:
    """What a panel folder was trained as, and which tasks it answers."""
    settings = panel.settings()
    yield f"configuration {settings.name}, seed {settings.seed}, {settings.folds} folds"
    for task in TASKS:
        voters = ", ".join(settings.panel.voters(task))
        state = f"trained: {voters}" if panel.has(task) else f"not trained yet ({voters})"
        yield f"{task:<13} {state}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("mire.doctor", "Versions, devices, memory, parameter budget, panel.")
    options.add_argument("--config", help="count this configuration's parameters (a name or a YAML file)")
    options.add_argument("--panel", type=Path, help="look at this panel, and count its configuration")
    chosen = options.parse_args(argv)
    panel = PanelFolder(chosen.panel) if chosen.panel else None
    settings: Settings | None = panel.settings() if panel else None
    if chosen.config:
        settings = load_settings(chosen.config)
    _print("machine", machine())
    _print("packages", packages())
    if panel:
        _print(f"panel {panel.root}", panel_lines(panel))
    if settings:
        from mire.parameters import count_parameters

        count = count_parameters(settings)
        _print(f"parameters of {settings.name}", budget(count))
        count.check()


def _print(title: str, lines: Iterator[str]) -> None:
    sys.stdout.write(f"{title}\n" + "".join(f"  {line}\n" for line in lines))


if __name__ == "__main__":
    raise SystemExit(run(main))
