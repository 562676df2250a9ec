"""Serve a panel: a page for people, an interface for programs.

python -m ensemble.serve --panel runs/p
"""

from collections.abc import Sequence
from pathlib import Path

from ensemble.serve.limits import Limits
from mire.cli import parser, run, say
from mire.errors import MireError
from mire.labels import TASKS


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.serve", "A page and an HTTP interface over a panel.")
    options.add_argument("--panel", type=Path, required=True)
    options.add_argument("--host", default="127.0.0.1", help="address to listen on; the default is this machine only")
    options.add_argument("--port", type=int, default=7860)
    options.add_argument("--max-batch", type=int, default=Limits.max_batch, help="samples in one pass, at most")
    chosen = options.parse_args(argv)
    if chosen.max_batch < 1:
        options.error(f"--max-batch must be at least 1, got {chosen.max_batch}")
    from mire.panel_folder import PanelFolder

    folder = PanelFolder(chosen.panel)
    folder.settings()
    tasks = [task for task in TASKS if folder.has(task)]
    try:
        import uvicorn

        from ensemble.serve.app import create_app
    except ModuleNotFoundError as error:
        raise MireError(
            f"serving needs the package {error.name}: pip install -e '.[serve]' beside setup.cfg"
        ) from error
    from ensemble.panel import Panel

    panel = Panel.load(chosen.panel, tasks)
    app = create_app(panel, Limits(max_batch=chosen.max_batch))
    say(f"http://{chosen.host}:{chosen.port} (page), /docs (interface), /metrics; Ctrl-C stops it")
    uvicorn.run(app, host=chosen.host, port=chosen.port, log_level="warning")


if __name__ == "__main__":
    raise SystemExit(run(main))
