"""How far long work is: a bar on a terminal, a plain line a step elsewhere, nothing where quiet is asked for."""

import logging
import sys
import time

from mire.cli import is_quiet

logger = logging.getLogger(__name__)


class Progress:
    """Counts finished samples of ``total``; ``done`` of them were finished before and say nothing about the rate."""

    def __init__(self, total: int, *, done: int = 0) -> None:
        from tqdm import tqdm

        self._total, self._before, self._done = total, done, done
        self._started = time.monotonic()
        shown = sys.stderr.isatty() and not is_quiet()
        self._bar = tqdm(total=total, initial=done, unit=" samples", disable=not shown, dynamic_ncols=True)

    def add(self, n: int) -> None:
        """Count ``n`` more."""
        self._done += n
        self._bar.update(n)
        if self._bar.disable:
            rate = (self._done - self._before) / max(time.monotonic() - self._started, 1e-9)
            left = (self._total - self._done) / rate
            logger.info(f"{self._done}/{self._total} samples, {rate:.1f} a second, {_clock(left)} left")
        elif self._done == self._total:
            self._bar.close()


def _clock(seconds: float) -> str:
    """``1:05:09``, ``5:09``: hours only where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
