"""Load a served panel from this machine: requests per second and latency at 1, 8 and 32 clients, memory before and after.

    python -m scripts.benchmarks.serve --data samples/test.json --images samples/images [--path /v1/decisions]
        [--url U] [--requests 200] [--pid PID]

Sends the file's prompts with their pictures, over and over; to ``/v1/decisions`` as messages, with a choice among all of
a task's labels. All are sent once before anything is timed, so what a panel keeps of a picture is there. Run it on a
quiet machine: clients and server share the cores. Prints one JSON line per step.
"""

import argparse
import base64
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from mire.cli import run
from mire.prompts import IMAGE_TAG
from mire.samples import Sample, read_samples

CLIENTS = (1, 8, 32)
WARM_UP_CLIENTS = 8
TIMEOUT_SECONDS = 120


def classify_body(sample: Sample) -> dict[str, Any]:
    """A sample as ``/v1/classify`` takes it."""
    return {"prompt": sample.prompt.text, "images": [encoded(path) for path in sample.images]}


def decisions_body(sample: Sample) -> dict[str, Any]:
    """A sample as ``/v1/decisions`` takes it: a picture alone, or a dialogue's turns as messages."""
    pictures = [{"type": "input_image", "image_url": f"data:;base64,{encoded(path)}"} for path in sample.images]
    if not sample.turns:
        return {"input": [{"role": "user", "content": pictures}], "questions": [_QUESTION]}
    left, messages = iter(pictures), []
    for turn in sample.turns:
        first, *rest = turn.text.split(IMAGE_TAG)
        content = [{"type": "input_text", "text": first}]
        for text in rest:
            content += [*islice(left, 1), {"type": "input_text", "text": text}]
        messages.append({"role": "user" if turn.speaker == "user" else "assistant", "content": content})
    return {"input": messages, "questions": [_QUESTION]}


_QUESTION = {"type": "choice", "instructions": ""}
BODIES = {"/v1/classify": classify_body, "/v1/decisions": decisions_body}


def encoded(path: Path) -> str:
    """A file in base64."""
    return base64.b64encode(path.read_bytes()).decode()


def request(url: str, body: bytes) -> float:
    """Seconds that one request took; a refusal raises ``HTTPError``."""
    started = time.monotonic()
    # The address is the one that whoever measures has typed.
    sent = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(sent, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        answer.read()
    return time.monotonic() - started


def load(url: str, sent: Sequence[bytes], *, clients: int, requests: int) -> dict[str, float]:
    """``requests`` requests by so many clients, each of which waits for its answer before it asks again."""
    seconds: list[float] = []
    faults: list[BaseException] = []
    ticket = count()

    def client() -> None:
        try:
            while not faults and (number := next(ticket)) < requests:
                seconds.append(request(url, sent[number % len(sent)]))
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    p50, p95, p99 = (np.percentile(seconds, (50, 95, 99)) * 1000).tolist()
    rate = len(seconds) / (time.monotonic() - started)
    return {"per_second": round(rate, 1), "p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "p99_ms": round(p99, 1)}


def memory_mib(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--path", choices=BODIES, default="/v1/classify", help="what to ask")
    parser.add_argument("--data", type=Path, required=True, help="the samples to send")
    parser.add_argument("--images", type=Path, required=True, help="folder of their pictures")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS, help="one step each")
    parser.add_argument("--requests", type=int, default=200, help="of each step")
    parser.add_argument("--pid", type=int, help="the server's process, to watch its memory")


def execute(options: argparse.Namespace) -> None:
    """Load the service step by step, one JSON line each."""
    body = BODIES[options.path]
    sent = [json.dumps(body(sample)).encode() for sample in read_samples(options.data, options.images)]
    url = f"{options.url}{options.path}"
    load(url, sent, clients=WARM_UP_CLIENTS, requests=len(sent))
    for clients in options.clients:
        before = memory_mib(options.pid) if options.pid else None
        figures = load(url, sent, clients=clients, requests=options.requests)
        after = memory_mib(options.pid) if options.pid else None
        line = {"clients": clients, "requests": options.requests, **figures, "mib_before": before, "mib_after": after}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
