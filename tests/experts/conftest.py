"""A nano base that was not pre-trained: the same files as a pre-trained one, built in seconds."""

import pytest

from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.nano import build_nano
from mire.settings import Qwen2VL, load_settings


@pytest.fixture(scope="session")
def nano_settings(tmp_path_factory: pytest.TempPathFactory) -> Qwen2VL:
    folder = tmp_path_factory.mktemp("nano")
    build_nano(folder, n_steps=0)
    return load_settings("nano").qwen2vl.model_copy(update={"base": str(folder), "max_pixels": 9408})


@pytest.fixture
def base(nano_settings: Qwen2VL) -> Base:
    return load_base(nano_settings, device="cpu")
