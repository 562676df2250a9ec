"""Check this machine, a configuration and a panel: versions, devices, memory, weights, parameter budget.

python -m mire.doctor [--config qwen2-vl-7b] [--panel runs/p]
python -m mire.doctor --config qwen2-vl-7b --devices 4 --launch fsdp --memory-gib 24    a forecast
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_config, run
from mire.launch_options import add_launch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config(parser, default=None)
    parser.add_argument("--panel", type=Path, help="check this panel and its configuration")
    add_launch(parser)
    parser.add_argument("--memory-gib", type=float, help="memory per GPU for the forecast (default: this machine's)")
    parser.add_argument(
        "--tflops", type=float, default=790, help="rate of matrix products per device for the forecast, TFLOP/s"
    )


def execute(options: argparse.Namespace) -> None:
    """Print the checks, section by section."""
    from mire.doctor.sections import Plan, sections
    from mire.panel_folder import PanelFolder
    from mire.settings import load_settings

    panel = PanelFolder(options.panel) if options.panel else None
    settings = panel.settings() if panel else None
    if options.config:
        settings = load_settings(options.config, options.overrides)
    plan = Plan(options.launch, options.devices, options.memory_gib, options.tflops)
    for title, checks in sections(panel, settings, plan):
        sys.stdout.write(f"{title}\n" + "".join(f"  {check}\n" for check in checks))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
