"""Load a served panel from this machine: requests a second and latency at 1, 8 and 32 clients, memory before and after.

python scripts/bench_serve.py --url http://127.0.0.1:7860 --image samples/images/x.webp [--requests 200] [--pid PID]

Run it on a quiet machine: clients and server share the cores. Prints one JSON line a step.
"""

import argparse
import json
import sys
import threading
import time
import urllib.request
from itertools import count
from pathlib import Path

import numpy as np

CLIENTS = (1, 8, 32)
DIALOGUE = json.dumps({"dialogue": [{"speaker": "user", "text": "这个会生锈吗"}]}).encode()
TIMEOUT_SECONDS = 120


def request(url: str, body: bytes) -> float:
    """Seconds that one request took; a refusal raises ``HTTPError``."""
    started = time.monotonic()
    # The address is the one that whoever measures has typed.
    sent = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(sent, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        answer.read()
    return time.monotonic() - started


def load(url: str, body: bytes, *, clients: int, requests: int) -> dict[str, float]:
    """``requests`` requests by so many clients, each of which waits for its answer."""
    seconds: list[float] = []
    faults: list[BaseException] = []
    ticket = count()

    def client() -> None:
        try:
            while not faults and next(ticket) < requests:
                seconds.append(request(url, body))
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
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99)) * 1000
    rate = len(seconds) / (time.monotonic() - started)
    return {"per_second": round(rate, 1), "p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "p99_ms": round(p99, 1)}


def memory_mib(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    """Command line; see the module's docstring."""
    options = argparse.ArgumentParser(description="Load a served panel and measure it.")
    options.add_argument("--url", default="http://127.0.0.1:7860")
    options.add_argument("--image", type=Path, help="send this picture instead of a dialogue")
    options.add_argument("--requests", type=int, default=200, help="of each step")
    options.add_argument("--pid", type=int, help="the server's process, to watch its memory")
    chosen = options.parse_args()
    body = DIALOGUE
    if chosen.image:
        import base64

        body = json.dumps({"images": [base64.b64encode(chosen.image.read_bytes()).decode()]}).encode()
    url = f"{chosen.url}/v1/classify"
    request(url, body)
    for clients in CLIENTS:
        before = memory_mib(chosen.pid) if chosen.pid else None
        figures = load(url, body, clients=clients, requests=chosen.requests)
        after = memory_mib(chosen.pid) if chosen.pid else None
        line = {"clients": clients, "requests": chosen.requests, **figures, "mib_before": before, "mib_after": after}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
