"""A known vulnerability fails CI; packages without advisories are reported."""

import json
import subprocess

import pytest

from scripts import audit_pins

CLEAN = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (2)"}
BAD = {"name": "c", "version": "3", "vulns": [{"id": "GHSA-1", "fix_versions": ["3.1", "4.0"]}]}
OPEN = {"name": "d", "version": "4", "vulns": [{"id": "GHSA-2", "fix_versions": []}]}
DEAD = "ERROR: Could not connect\nERROR: Tip: your network may be blocking this service. Try another"


@pytest.mark.parametrize(
    ("stdout", "stderr", "code", "said"),
    [
        ([CLEAN, SKIPPED], "", 0, "pins: 1 of 2 audited, for the others there are no advisories\n"),
        ([SKIPPED, SKIPPED], "", 0, "pins: NOT AUDITED, this registry serves no advisories for any of 2\n"),
        ([CLEAN, BAD], "", 1, "c 3: GHSA-1, mended by 3.1, 4.0\npins: 2 of 2 audited"),
        ([OPEN, SKIPPED], "", 1, "d 4: GHSA-2, mended by no version yet\npins: 1 of 2 audited"),
        (None, DEAD, 0, "pins: NOT AUDITED, the server of the advisories does not answer\n"),
        (None, "error: unrecognized arguments", 1, ""),
    ],
)
def test_what_ends_ci_and_what_is_only_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stdout: list[object] | None,
    stderr: str,
    code: int,
    said: str,
) -> None:
    out = "" if stdout is None else json.dumps({"dependencies": stdout, "fixes": []})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, out, stderr))
    assert audit_pins.main() == code
    assert capsys.readouterr().out.startswith(said)
