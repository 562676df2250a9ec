"""Say what is on this machine, whether a configuration fits it and the challenge's limits, and what a panel is.

python -m mire.doctor [--config qwen2-vl-7b] [--panel runs/p]
python -m mire.doctor --config qwen2-vl-7b --devices 4 --launch fsdp --memory-gib 24    a plan, before it is started
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mire.budget import MAX_PARAMETERS, ParameterCount
from mire.card import fingerprint, read_card
from mire.cli import add_config, parser, run
from mire.finding import Finding
from mire.labels import TASKS
from mire.launch import add_launch
from mire.panel_folder import PanelFolder
from mire.presence import GIB
from mire.settings import Settings, load_settings


def machine() -> Iterator[Finding]:
    """Python, cores, memory, devices, room for what is kept, fonts."""
    from mire.cache import cache_root

    old = sys.version_info < (3, 11)
    yield Finding(
        f"python       {platform.python_version()} on {platform.system()} {platform.machine()}",
        "use Python 3.11 or newer" if old else "",
    )
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Finding(
        f"cpu          {os.cpu_count()} cores, {whole / GIB:.0f} GiB memory, {free_memory() / GIB:.0f} GiB free"
    )
    yield from _devices()
    kept = cache_root()
    room = shutil.disk_usage(next(path for path in (kept, *kept.absolute().parents) if path.exists())).free
    yield Finding(
        f"cache        {kept}, {room / GIB:.0f} GiB free",
        "" if room > GIB else "free some disk, or set MIRE_CACHE to a folder on another one",
    )
    yield _fonts()


def _devices() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding(f"torch        cannot be imported: {error}", "pip install --force-reinstall torch torchvision")
        return
    if not torch.cuda.is_available():
        yield Finding("gpu          none: the 7B configuration needs one, nano and cpu do not")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield Finding(f"gpu {index}        {properties.name}, {properties.total_memory / GIB:.0f} GiB")


def _fonts() -> Finding:
    """Pages carry no font: the browser's own must know Chinese."""
    if shutil.which("fc-list") is None:
        return Finding("fonts        not checked: pages use the browser's own")
    listed = subprocess.run(["fc-list", ":lang=zh", "family"], capture_output=True, text=True, check=False)
    n_families = len(set(listed.stdout.splitlines()))
    fix = "" if n_families else "to read pages on this machine: apt install fonts-noto-cjk, or any Chinese font"
    return Finding(f"fonts        {n_families} Chinese families for the pages", fix)


def free_memory() -> int:
    """Bytes that programs can still get."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory(count: ParameterCount) -> Finding:
    """Whether the configuration's weights fit the first GPU, or without one the machine."""
    import torch

    from mire.presence import fit

    if torch.cuda.is_available():
        return fit(count, torch.cuda.mem_get_info(0)[0], "bfloat16")
    return fit(count, free_memory(), "float32")


def budget(count: ParameterCount) -> Iterator[Finding]:
    """The parameter budget, line by line."""
    for part, n_parameters in count.parts.items():
        yield Finding(f"{part:<36} {n_parameters:>15,}")
    fits = count.total < MAX_PARAMETERS
    yield Finding(
        f"{'sum':<36} {count.total:>15,}  {'fits' if fits else 'IS OVER THE LIMIT'}: fewer than {MAX_PARAMETERS:,} "
        "are allowed",
        "" if fits else "take a voter out of the panel, or a smaller base or CLIP model",
    )


def panel_lines(panel: PanelFolder) -> Iterator[Finding]:
    """What a panel folder is, what it was trained on, and how it did there."""
    settings = panel.settings()
    yield Finding(f"configuration {settings.name}, seed {settings.seed}, {settings.folds} folds")
    yield Finding(f"fingerprint   {fingerprint(panel)}")
    for task in TASKS:
        voters = ", ".join(settings.panel.voters(task))
        if not panel.has(task):
            yield Finding(
                f"{task:<13} not trained yet ({voters})",
                f"bash scripts/train_experts.sh {task} --panel {panel.root} ...",
            )
            continue
        card = read_card(panel, task)
        known = (
            f" on {card.data} ({card.data_digest}): {card.n_samples:,} samples, {card.n_labels} labels; out of fold "
            f"F1 {card.panel.f1:.3f} ({card.panel.low:.3f} to {card.panel.high:.3f}, n {card.panel.n})"
            if card
            else ", before panels carried a card"
        )
        yield Finding(f"{task:<13} {voters}: trained{known}")
        yield from _adapter(panel, panel.voter(task, "qwen2vl") / "adapter_model.safetensors")


def _adapter(panel: PanelFolder, weights: Path) -> Iterator[Finding]:
    """An adapter of an older transformers loads without an error, and does nothing."""
    if not weights.is_file():
        return
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        old = [key for key in file.keys() if ".language_model." not in key and ".visual." not in key]  # noqa: SIM118
    if old:
        yield Finding(
            f"{weights.relative_to(panel.root)} has the module names of an older transformers ({old[0]})",
            "convert it: python -m experts.qwen2vl.convert --help",
        )


def plan(settings: Settings, chosen: argparse.Namespace) -> Iterator[Finding]:
    """What training would need on the devices that were named: those of this machine, or others."""
    import torch

    from mire.forecast import Machine, forecast

    n_devices = chosen.devices or torch.cuda.device_count() or 1
    gpu = bool(chosen.memory_gib) or torch.cuda.is_available()
    if chosen.memory_gib:
        each = chosen.memory_gib * GIB
    else:
        each = torch.cuda.mem_get_info(0)[0] if gpu else free_memory() / n_devices
    return forecast(settings, Machine(n_devices, gpu, each, chosen.tflops, chosen.launch))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("mire.doctor", "Versions, devices, memory, weights, parameter budget, panel.")
    add_config(options, default=None)
    options.add_argument("--panel", type=Path, help="look at this panel, and at its configuration")
    add_launch(options)
    options.add_argument(
        "--memory-gib", type=float, help="plan for GPUs of so much memory; for this machine if left out"
    )
    options.add_argument("--tflops", type=float, default=790, help="matrix products of a planned device, TFLOP/s")
    chosen = options.parse_args(argv)
    panel = PanelFolder(chosen.panel) if chosen.panel else None
    settings = load_settings(chosen.config, chosen.overrides) if chosen.config else panel.settings() if panel else None
    # Imported here: --help needs neither.
    from mire.installed import bad_pairs, packages

    _print("machine", machine())
    _print("packages", packages())
    _print("pairs", bad_pairs())
    if panel:
        _print(f"panel {panel.root}", panel_lines(panel))
    if settings:
        from mire.parameters import count_parameters
        from mire.presence import weights

        count = count_parameters(settings)
        _print(f"weights of {settings.name}", weights(settings))
        _print(f"memory for {settings.name}", [memory(count)])
        _print(f"parameters of {settings.name}", budget(count))
        if chosen.devices or chosen.memory_gib:
            _print(f"training {settings.name}", plan(settings, chosen))
        count.check()


def _print(title: str, found: Iterable[Finding]) -> None:
    sys.stdout.write(f"{title}\n" + "".join(f"  {finding}\n" for finding in found))


if __name__ == "__main__":
    raise SystemExit(run(main))
