"""Ends the work of visitors who have left the page: their stream of answers is read no more."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.utils import cancel_tasks

PATIENCE_SECONDS = 10.0
"""For a visitor who has asked for something to open the stream of answers."""


class Sessions:
    """Which of the page's sessions have an open stream; the work and the answers of the others are dropped."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self._blocks = blocks
        self._streams: Counter[str] = Counter()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    def asked(self, session: str) -> None:
        """A call has joined the queue: its stream must open soon."""
        if timer := self._timers.get(session):
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[session] = loop.call_later(PATIENCE_SECONDS, self._drop_unread, session)

    @contextmanager
    def reading(self, session: str) -> Iterator[None]:
        """Inside, the session's stream is open."""
        self._streams[session] += 1
        try:
            yield
        finally:
            self._streams[session] -= 1
            if not self._streams[session]:
                del self._streams[session]

    def left(self, session: str) -> None:
        """The visitor has closed the stream before its end."""
        if not self._streams[session]:
            self._drop(session)

    def _drop_unread(self, session: str) -> None:
        del self._timers[session]
        if not self._streams[session]:
            self._drop(session)

    def _drop(self, session: str) -> None:
        task = asyncio.ensure_future(self._forget(session))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def _forget(self, session: str) -> None:
        """Take a session's calls out of Gradio's queue, stop those that run, and delete their answers."""
        queue = self._blocks._queue
        await queue.clean_events(session_hash=session)
        await cancel_tasks({f"{session}_{place}" for place in self._blocks.fns})
        queue.pending_messages_per_session.pop(session, None)
        queue.pending_event_ids_session.pop(session, None)
