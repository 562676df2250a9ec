import socket
from collections.abc import Iterator

import pytest
from huggingface_hub import constants

from mire import hub
from mire.errors import PanelError
from mire.settings import Clip, Qwen2VL


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "TIMEOUT_SECONDS", 0.5)
    hub.offline_reason.cache_clear()
    yield
    hub.offline_reason.cache_clear()


@pytest.fixture(params=["refuses", "is silent"])
def dead_hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address where nothing listens, or where a server accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            server.listen()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        yield endpoint


def test_a_hub_that_does_not_answer_is_found_and_not_asked_again(dead_hub: str) -> None:
    assert f"{dead_hub} does not answer" in str(hub.offline_reason())
    assert constants.HF_HUB_OFFLINE


@pytest.mark.slow
def test_base_and_clip_name_the_way_out_when_the_hub_is_dead(dead_hub: str) -> None:
    from experts.clip_lightgbm.embed import create_model
    from experts.qwen2vl.base import load_base

    with pytest.raises(PanelError, match=f"{dead_hub} does not answer .*name its folder as qwen2vl.base"):
        load_base(Qwen2VL(base="no-such/model"))
    with pytest.raises(PanelError, match=f"{dead_hub} does not answer .*name a file or a folder as clip.weights"):
        create_model(Clip(model="ViT-B-32", weights="laion2b_s34b_b79k"))


def test_the_environment_can_declare_the_hub_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.offline_reason() == "HF_HUB_OFFLINE is set"
