"""What a request may ask for, and how it is told that it asked for more."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a request and of the server; a request over one is refused with a 4xx and the reason."""

    max_request_bytes: int = 32 * 2**20
    max_call_bytes: int = 512 * 2**10
    """Of a call of the page, which names its uploads and holds at most a dialogue."""
    max_bytes_under_way: int = 128 * 2**20
    """Of all bodies together that are being received or answered."""
    max_uploaded_bytes: int = 8 * 2**30
    """Of all files that the page holds; they are deleted after an hour."""
    max_pictures: int = 16
    max_pixels: int = 40_000_000
    """Of one picture, before it is decoded; also of all pictures of one pass."""
    max_characters: int = 50_000
    """Of a prompt, or of a dialogue's turns together."""
    max_lines: int = 2_000
    """Of the same texts."""
    max_turns: int = 200
    max_waiting: int = 64
    """Samples that wait for a pass; further ones are refused until there is room."""
    max_batch: int = 16
    timeout_seconds: float = 60.0
    """For receiving a request, and again for answering it."""
    max_upload_bytes: int = 2 * 2**30
    """Of a file that the page's batch tab takes; also of a zip's pictures, unpacked."""

    @property
    def max_json_nodes(self) -> int:
        """Opening marks, commas and colons of a body: a text may hold as many as it has characters."""
        return self.max_characters + 16 * (self.max_turns + self.max_pictures) + 1024


class RefusedError(Exception):
    """A request that cannot be answered: the HTTP status, and the reason for a person."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def check_json(body: bytes | bytearray, limits: Limits) -> None:
    """Refuse JSON of very many objects before it is parsed (422): they take a hundred times its bytes."""
    n_nodes = sum(body.count(mark) for mark in b"{[,:")
    if n_nodes > limits.max_json_nodes:
        raise RefusedError(422, f"a body may hold {limits.max_json_nodes} values and marks, got {n_nodes}")
