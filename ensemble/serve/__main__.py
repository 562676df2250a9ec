"""Serve a panel: a page for people, an HTTP interface for programs.

python -m ensemble.serve --panel runs/p
"""

import argparse
import re
import sys
from pathlib import Path

from ensemble.serve.limits import Limits
from mire.cli import run, say
from mire.errors import MireError, UsageError, missing_package


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; the default is this machine only")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="answer to this name too, as a proxy's"
    )
    parser.add_argument("--root-path", default="", metavar="/PREFIX", help="where a gateway shows the service")
    parser.add_argument("--api-key-file", type=Path, help="keys, one per line; MIRE_API_KEY holds some too")
    parser.add_argument("--no-auth", action="store_true", help="no keys, though --host is not this machine's own")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument(
        "--keep-cache", action="store_true", help="keep what was read in pictures, their text too, in MIRE_CACHE"
    )
    parser.add_argument("--max-batch", type=int, default=Limits.max_batch, help="samples in one pass, at most")
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=NUMBER", help="another limit of ensemble/serve/limits.py"
    )
    parser.add_argument("--shadow", type=Path, metavar="PANEL", help="ask this panel too, and log both answers")
    parser.add_argument("--shadow-share", type=float, default=0.1, help="of the samples, above 0 to 1")


def execute(options: argparse.Namespace) -> None:
    """Load the panel and answer until the process is stopped."""
    if not 0 < options.shadow_share <= 1:
        raise UsageError(f"--shadow-share must be above 0 and at most 1, got {options.shadow_share}")
    limits = Limits(max_batch=options.max_batch).changed(options.limit)
    if not 1 <= limits.max_batch <= limits.max_waiting:
        raise UsageError(
            f"--max-batch must be from 1 to {limits.max_waiting}, which may wait at most, got {limits.max_batch}"
        )
    if not re.fullmatch(r"(/[\w.~-]+)*", options.root_path):
        raise UsageError(f"--root-path must be like /mire, without a slash at its end, got {options.root_path!r}")
    from ensemble.serve.access import Access, check_exposure, read_keys
    from mire.hub import drop_unusable_proxies

    keys = read_keys(options.api_key_file)
    check_exposure(options.host, keys, no_auth=options.no_auth)
    access = Access(options.host.lower(), tuple(name.lower() for name in options.allow_host), keys)
    drop_unusable_proxies()
    try:
        from ensemble.serve.app import create_app
        from ensemble.serve.listening import listen, reload_on_hangup, taken_address
    except ModuleNotFoundError as error:
        raise MireError(missing_package("serving", str(error.name), "serve")) from error
    from ensemble.decisions.shadow import Shadow
    from ensemble.panel import Panel
    from ensemble.serve.scratch import private_scratch, swept
    from mire.process_pool import workers

    with taken_address(options.host, options.port) as taken:
        panel = Panel.load(options.panel)
        if "image" in panel.tasks:
            workers().start()  # a pass of a few screens takes a pool that runs, and starts none
        with private_scratch() as scratch:
            app = create_app(
                panel,
                limits,
                access=access,
                folder=options.panel,
                root_path=options.root_path,
                keep_cache=options.keep_cache,
                shadow=Shadow(options.shadow, options.shadow_share) if options.shadow else None,
            )
            reload_on_hangup(app.state.service)
            say(f"http://{options.host}:{taken.getsockname()[1]} (page), /docs (interface), /metrics; Ctrl-C stops it")
            with swept(scratch):  # the page's examples lie there by now, as old as the samples' files
                listen(app, taken, max_connections=limits.max_connections)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
