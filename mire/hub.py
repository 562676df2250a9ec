"""Find out within seconds whether the model hub can be reached; if not, use the cache or fail."""

import http.client
import logging
import os
import urllib.error
import urllib.request
from functools import lru_cache

TIMEOUT_SECONDS = 5.0
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")

logger = logging.getLogger(__name__)


@lru_cache
def offline_reason() -> str | None:
    """Why the hub cannot be reached, checked once per process; None if it answers, with any status.

    The Hugging Face libraries retry for a minute or more. If nothing answers, this sets them offline for the rest
    of the process: they then read their cache, or fail at once.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        return "HF_HUB_OFFLINE is set"
    drop_unusable_proxies()
    from huggingface_hub import constants

    try:
        # The endpoint is the user's own setting (HF_ENDPOINT) or the hub.
        with urllib.request.urlopen(constants.ENDPOINT, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:  # also of an invalid address, or answer
        constants.HF_HUB_OFFLINE = True
        return f"{constants.ENDPOINT} does not answer ({getattr(error, 'reason', None) or error}); see HF_ENDPOINT"


def drop_unusable_proxies() -> None:
    """Take proxies out of the environment that httpx, which the hub's and the page's libraries use, cannot use.

    It raises whatever is wrong with one where a client is made, and some libraries make one when they are imported.
    """
    names = [name for upper in _PROXIES for name in (upper, upper.lower()) if name in os.environ]
    if not names or _proxies_work():
        return
    given = {name: os.environ.pop(name) for name in names}
    for name, value in given.items():
        os.environ[name] = value
        if not _proxies_work():
            del os.environ[name]
            logger.warning(f"{name} is passed over: its value cannot be used as a proxy (a scheme, a port, socksio)")


def _proxies_work() -> bool:
    import httpx

    try:
        httpx.Client().close()
    except Exception:  # a missing package, a scheme, a port: each has an error of its own
        return False
    return True
