"""The slider: what is answered and what goes to people, by the panel's out-of-fold answers."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")

from ensemble.serve.limits import Limits
from ensemble.serve.page.handlers import Handlers
from ensemble.serve.service import Service


def test_a_precision_shows_the_share_and_the_load(tiny_panel: Path) -> None:
    service = Service(image_panel(FakeVoter("a", {})), Limits(), folder=tiny_panel)

    def shown(percent: float, languages: str) -> str:
        request = SimpleNamespace(headers={"accept-language": languages}, client=None)
        return asyncio.run(Handlers(service).decisions(percent, request))  # type: ignore[arg-type]

    # 12 answers per task: even if all are right, the bound is 0.05 ** (1 / 12) = 0.779
    none, chinese = shown(80, "en"), shown(80, "zh-CN")
    service.close()
    assert none.count("no threshold reaches it: n 12") == none.count("1000 of 1,000 go to people") == 1
    assert "自动回答" in chinese and "1000 条转人工" in chinese


def test_every_fraction_of_a_percent_costs_no_search_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def found(folder: object, tasks: object, precision: float, *, fingerprint: str) -> dict[str, object]:
        asked.append(precision)
        return {}

    monkeypatch.setattr("ensemble.serve.page.handlers.thresholds_at", found)
    service = Service(image_panel(FakeVoter("a", {})), Limits())
    for percent in (80.1, 80.2, -5.0, 1e300):
        asyncio.run(Handlers(service).decisions(percent, SimpleNamespace(headers={}, client=None)))  # type: ignore[arg-type]
    service.close()
    assert asked == [0.8, 0.8, 0.5, 0.99]


def test_a_panel_without_votes_is_refused_politely(tmp_path: Path) -> None:
    service = Service(image_panel(FakeVoter("a", {})), Limits(), folder=tmp_path / "gone")
    request = SimpleNamespace(headers={}, client=None)
    shown = asyncio.run(Handlers(service).decisions(90, request))  # type: ignore[arg-type]
    service.close()
    assert "This panel has no out-of-fold answers" in shown and str(tmp_path) not in shown
