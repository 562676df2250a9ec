"""Optional dependencies: where one is missing, the message says how the project's own extra is installed."""

import configparser
import sys
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement

from ensemble import audit
from ensemble.serve import __main__ as serve_command
from ensemble.training.accelerate_launch import Launch, run_side_by_side
from mire.cli import run
from mire.errors import Extra, SettingsError, missing_package

ROOT = Path(__file__).parent.parent


def extras() -> dict[str, set[str]]:
    """The packages of each extra that ``setup.cfg`` declares."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    section = setup["options.extras_require"]
    return {name: {Requirement(line).name for line in section[name].split("\n") if line} for name in section}


def test_every_extra_but_the_developers_has_a_name_in_messages() -> None:
    assert set(get_args(Extra)) == extras().keys() - {"docs", "dev"}


def test_the_message_installs_from_the_checkout() -> None:
    said = missing_package("an audit", "cleanlab", "audit")
    assert said == "an audit needs the package cleanlab: pip install -e '.[audit]' beside setup.cfg"


def test_nothing_names_the_project_of_the_same_name_on_the_public_index() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    code = [path for room in ("mire", "router", "experts", "ensemble", "scripts", "samples")
            for kind in ("py", "sh", "html") for path in (ROOT / room).rglob(f"*.{kind}")]  # fmt: skip
    assert len(pages) > 5 and len(code) > 100
    for path in [*pages, *code]:
        text = path.read_text(encoding="utf-8")
        assert "mire[" not in text and "install mire" not in text, path


def test_an_audit_without_cleanlab(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    data = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    assert run(audit, [*data, "--panel", str(tiny_panel), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {missing_package('an audit', 'cleanlab', 'audit')}\n"


def test_serving_without_uvicorn(
    tiny_panel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "ensemble.serve.listening", raising=False)
    assert run(serve_command, ["--panel", str(tiny_panel)]) == 1
    assert capsys.readouterr().err == f"error: {missing_package('serving', 'uvicorn', 'serve')}\n"


def test_training_without_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ensemble.training.accelerate_launch.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="training a Qwen2-VL adapter needs the package accelerate: pip install -e"):
        run_side_by_side([Launch("ddp", (), 1)], [[]])
