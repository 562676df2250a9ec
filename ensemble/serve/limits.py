"""What a request may ask for, and how it is told that it asked for more."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a request and of the server; a request over one is refused with a 4xx and the reason."""

    max_request_bytes: int = 32 * 2**20
    max_pictures: int = 16
    max_pixels: int = 40_000_000
    """Of one picture, before it is decoded."""
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


class RefusedError(Exception):
    """A request that cannot be answered: the HTTP status, and the reason for a person."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
