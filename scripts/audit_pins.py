"""Look for known vulnerabilities of what constraints.txt pins; one is exit code 1, and there are no exceptions.

python scripts/audit_pins.py

Packages without advisories (of a registry that serves none, or of a version that it does not know) are counted; if
that is all of them, the last line says that nothing was audited.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMAND = [
    "pip-audit", "--requirement", str(ROOT / "constraints.txt"), "--no-deps", "--disable-pip",
    "--progress-spinner", "off", "--format", "json",
]  # fmt: skip
UNREACHABLE = "Tip: your network may be blocking this service"
"""What pip-audit says where the advisories' server does not answer."""


def vulnerabilities(report: dict[str, Any]) -> Iterator[str]:
    """One line for each known vulnerability of a pin: the package, the advisory, the versions that mend it."""
    for package in report["dependencies"]:
        for found in package.get("vulns", ()):
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {found['id']}, mended by {mended}"


def summary(report: dict[str, Any]) -> str:
    """How many pins were held against advisories, and how many could not be."""
    packages = report["dependencies"]
    n_skipped = sum("skip_reason" in package for package in packages)
    if n_skipped == len(packages):
        return f"pins: NOT AUDITED, this registry serves no advisories for any of {n_skipped}"
    return f"pins: {len(packages) - n_skipped} of {len(packages)} audited, for the others there are no advisories"


def main() -> int:
    """Run pip-audit and say what it found; the exit code."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    if not done.stdout and UNREACHABLE in done.stderr:
        print("pins: NOT AUDITED, the server of the advisories does not answer")
        return 0
    if not done.stdout:
        print(done.stderr, file=sys.stderr)
        return 1
    report = json.loads(done.stdout)
    found = list(vulnerabilities(report))
    print("\n".join([*found, summary(report)]))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
