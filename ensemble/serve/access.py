"""Which names the server answers to, and which keys it accepts."""

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mire.errors import UsageError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
KEY_VARIABLE = "MIRE_API_KEY"
MIN_KEY_CHARACTERS = 16
# Compared with, not listened on.
_EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104


@dataclass(frozen=True)
class Access:
    """Names that the server answers to, and the keys of which a request must bring one; without keys none is needed.

    ``host`` is the address that it listens on: where that is every address, any numeric address is trusted, since a
    foreign page can only use a name. ``named`` are further names, such as that of a proxy in front.
    """

    host: str = LOOPBACK[1]
    named: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def trusts(self, name: str) -> bool:
        if name in LOOPBACK or name in self.named or name == self.host:
            return True
        return self.host in _EVERY_ADDRESS and _is_address(name)

    def knows(self, key: str) -> bool:
        """Whether it is one of the keys; takes as long whichever it is, and however much of it is right."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = [hmac.compare_digest(digest, hashlib.sha256(known.encode()).digest()) for known in self.keys]
        return any(found)


def read_keys(path: Path | None) -> tuple[str, ...]:
    """The keys of a file, one per line (``#`` opens a comment), and of ``MIRE_API_KEY``, between blanks.

    Raises:
        UsageError: the file cannot be read or holds none, or a key is too short or no plain ASCII.
    """
    keys = os.environ.get(KEY_VARIABLE, "").split()
    if path is not None:
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--api-key-file {path} cannot be read: {reason}") from error
        in_file = [line for line in lines if line and not line.startswith("#")]
        if not in_file:
            raise UsageError(f"--api-key-file {path} holds no key; write one per line")
        keys += in_file
    for number, key in enumerate(keys, start=1):
        if len(key) < MIN_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
            raise UsageError(
                f"key {number} must have at least {MIN_KEY_CHARACTERS} printable ASCII characters; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
    return tuple(keys)


def check_exposure(host: str, keys: Sequence[str], *, no_auth: bool) -> None:
    """Refuse to open the service to a network by accident.

    Raises:
        UsageError: the host is not this machine's own and there are no keys, or keys and ``--no-auth`` together.
    """
    if keys and no_auth:
        raise UsageError(f"give keys (--api-key-file, {KEY_VARIABLE}) or --no-auth, not both")
    if not (host in LOOPBACK or keys or no_auth):
        raise UsageError(
            f"--host {host} opens the service to a network: give keys with --api-key-file or {KEY_VARIABLE}, "
            "or say --no-auth where something in front asks for them"
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
