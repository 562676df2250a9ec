"""What a request may ask for, and how it is told that it asked for more."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mire.errors import UsageError

_RESERVES = 64
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds of a request and of the server; a request over one is refused with a 4xx and the reason."""

    max_request_bytes: int = 32 * 2**20
    max_call_bytes: int = 512 * 2**10
    """Of a call of the page, which names its uploads and holds at most a dialogue."""
    max_bytes_under_way: int = 64 * 2**20
    """Of all bodies together that are being received or answered, and of the batch tab's JSON files."""
    max_uploaded_bytes: int = 8 * 2**30
    """Of all files that the page holds, and of what batch jobs have unpacked; uploads are deleted after an hour."""
    max_connections: int = 384
    max_jobs: int = 16
    """Batch jobs of the page under way."""
    body_seconds: float = 15.0
    """For a body to arrive, and one second more for each ``min_bytes_per_second``."""
    min_bytes_per_second: int = 16 * 2**10
    max_pictures: int = 16
    max_files: int = 64
    """That one call of the page may name: each is looked for on the disk."""
    max_pixels: int = 24_000_000
    """Of one picture, before it is decoded, and of a pass: in WebP, which costs most, they take 380 MiB."""
    max_pixels_together: int = 48_000_000
    """Of all pictures of one request."""
    max_characters: int = 20_000
    """Of a prompt, or of a dialogue's turns together."""
    max_lines: int = 2_000
    """Of the same texts."""
    max_turns: int = 200
    max_waiting: int = 64
    """Samples that wait for a pass or are in it; further ones are refused until there is room."""
    max_batch: int = 16
    timeout_seconds: float = 60.0
    """For answering a request, once it is there."""
    max_batch_nodes: int = 1_000_000
    """As ``max_json_nodes``, of the batch tab's JSON: a sample of the challenge has about 45."""
    max_batch_samples: int = 25_000
    max_upload_bytes: int = 2 * 2**30
    """Of a file that the page's batch tab takes; also of a zip's pictures, unpacked."""

    @property
    def max_json_nodes(self) -> int:
        """Opening marks, commas and colons of a body: a text may hold as many as it has characters."""
        return self.max_characters + 16 * (self.max_turns + self.max_pictures) + 1024

    def changed(self, settings: Sequence[str]) -> "Limits":
        """These limits with others instead, given as ``NAME=NUMBER``.

        Raises:
            UsageError: no limit of that name, or no number above zero.
        """
        known = {name: type(value) for name, value in vars(self).items()}
        values: dict[str, Any] = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            if name not in known:
                raise UsageError(f"--limit knows {', '.join(known)}; got {name!r}")
            try:
                values[name] = known[name](text)
            except ValueError:
                values[name] = 0
            if not 0 < values[name] < float("inf"):
                raise UsageError(f"--limit {name} must be a number above zero, got {text!r}")
        return replace(self, **values)


class FairShares:
    """A budget that clients share; when it is used up, a client may still have a 64th of it.

    So clients that take much do not shut out those that take little. All together get at most twice the budget, however
    many there are, since one with many addresses counts as many clients.
    """

    def __init__(self, most: int) -> None:
        self._most, self._reserve = most, max(most // _RESERVES, 1)
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._total = 0

    def take(self, client: str, amount: int) -> bool:
        """Give ``amount`` to a client, or nothing."""
        with self._lock:
            most = 2 * self._most if self._taken[client] + amount <= self._reserve else self._most
            if self._total + amount > most:
                return False
            self._taken[client] += amount
            self._total += amount
            return True

    def give_back(self, client: str, amount: int) -> None:
        with self._lock:
            self._total -= amount
            self._taken[client] -= amount
            if not self._taken[client]:
                del self._taken[client]


class RefusedError(Exception):
    """A request that cannot be answered: the HTTP status, and the reason for a person."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def client_of(scope: Mapping[str, Any]) -> str:
    """The client's address; a proxy on this machine may name the one behind it."""
    return str((scope.get("client") or ("",))[0])


def check_json(body: bytes | bytearray, max_nodes: int) -> None:
    """Refuse JSON of very many objects before it is parsed (422): they take a hundred times its bytes.

    Counted piece by piece: counting holds Python's lock, for which the event loop waits.
    """
    offsets = range(0, len(body), _PIECE_BYTES)
    n_nodes = sum(body.count(mark, offset, offset + _PIECE_BYTES) for offset in offsets for mark in b"{[,:")
    if n_nodes > max_nodes:
        raise RefusedError(422, f"a body may hold {max_nodes} values and marks, got {n_nodes}")
