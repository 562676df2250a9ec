"""Clients that others wrote, over a real connection."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")

from ensemble.panel import TaskPanel
from ensemble.serve.access import Access
from ensemble.serve.app import create_app
from ensemble.serve.listening import server_of, taken_address
from ensemble.voting.weights import VoterWeight, Weights
from mire.labels import builtin_taxonomy

pytestmark = pytest.mark.slow

RUST, SEASON = "是否会生锈", "适用季节"
KEY = "a-key-0123456789"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server in a thread, which gives 0.8 to ``RUST``, and asks for a key."""
    dialogue = builtin_taxonomy("dialogue")
    panel = image_panel(FakeVoter("a", {}))
    voter = FakeVoter("d", {str(place): RUST for place in range(8)}, taxonomy=dialogue)
    panel.tasks["dialogue"] = TaskPanel(dialogue, (voter,), Weights(voters={"d": VoterWeight()}))
    server = server_of(create_app(panel, access=Access(keys=(KEY,)), page=False), max_connections=8)
    with taken_address("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_openai_asks_for_decisions_at_once_and_in_turn(url: str) -> None:
    openai = pytest.importorskip("openai", minversion="3.57", reason="openai is not installed")
    questions: list[Any] = [
        {"type": "choice", "instructions": "Which?", "choices": [{"value": RUST}, {"value": SEASON}], "name": "which"},
        {"type": "predicate", "instructions": "Does it rust?"},
    ]
    messages: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": "会生锈吗"}]}]
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    model = client.models.list().data[0].id

    async def at_once() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as asked:
            one = asked.decisions.create(model=model, input=messages, questions=questions)
            return await asyncio.gather(one, asked.decisions.create(model=model, input="生锈", questions=questions))

    for found in (client.decisions.create(model=model, input=messages, questions=questions), *asyncio.run(at_once())):
        which, rusts = found.answers
        assert (which.type, which.choice, which.name) == ("choice", RUST, "which")
        assert (rusts.type, rusts.probability) == ("predicate", pytest.approx(0.8))
        assert found.usage.total_tokens == found.usage.input_tokens + found.usage.output_tokens
        assert found.model == model and found._request_id
    score: Any = {"type": "score", "instructions": "?", "levels": [{"label": "a"}, {"label": "b"}]}
    with pytest.raises(openai.BadRequestError, match="400") as refused:
        client.decisions.create(model=model, input="生锈", questions=[score])
    assert "a score has levels, this panel has labels" in refused.value.body["detail"]
    with pytest.raises(openai.AuthenticationError, match="401"):
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()


def test_typesafe_asks_system_one(url: str) -> None:
    typesafe = pytest.importorskip("typesafe_sdk", reason="typesafe-sdk is not installed")
    with typesafe.TypeSafeClient(base_url=url, api_key=KEY) as client:
        found = client.system_one(
            "会生锈吗",
            {
                "rusts": typesafe.Noul(instructions="Does it rust?"),
                "which": typesafe.Choice(instructions="Which?", criteria={RUST: None, SEASON: None}),
            },
        )
        assert found.nouls["rusts"].noul == pytest.approx(0.8)
        assert (found.choices["which"].choice, set(found.choices["which"].probabilities)) == (RUST, {RUST, SEASON})
