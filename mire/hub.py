"""The hub of model weights: found to be out of reach in seconds, so that what is cached is used or an error comes."""

import os
import urllib.error
import urllib.request
from functools import lru_cache

TIMEOUT_SECONDS = 5.0


@lru_cache
def offline_reason() -> str | None:
    """Why the hub cannot be reached, asked once; None where it answers, whatever it says.

    The Hugging Face libraries ask again and again for a minute or more. Where nothing answers they are told to
    stay offline for the rest of the process: they then read their cache, or fail at once.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        return "HF_HUB_OFFLINE is set"
    from huggingface_hub import constants

    try:
        # The endpoint is a person's own setting (HF_ENDPOINT) or the hub.
        with urllib.request.urlopen(constants.ENDPOINT, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        constants.HF_HUB_OFFLINE = True
        return f"{constants.ENDPOINT} does not answer ({getattr(error, 'reason', None) or error})"
