"""Find out within seconds whether the model hub can be reached; if not, use the cache or fail."""

import os
import urllib.error
import urllib.request
from functools import lru_cache

TIMEOUT_SECONDS = 5.0


@lru_cache
def offline_reason() -> str | None:
    """Why the hub cannot be reached, checked once per process; None if it answers, with any status.

    The Hugging Face libraries retry for a minute or more. If nothing answers, this sets them offline for the rest
    of the process: they then read their cache, or fail at once.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        return "HF_HUB_OFFLINE is set"
    from huggingface_hub import constants

    try:
        # The endpoint is the user's own setting (HF_ENDPOINT) or the hub.
        with urllib.request.urlopen(constants.ENDPOINT, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        constants.HF_HUB_OFFLINE = True
        return f"{constants.ENDPOINT} does not answer ({getattr(error, 'reason', None) or error})"
