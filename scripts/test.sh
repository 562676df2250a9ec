#!/usr/bin/env bash
# Install what the tests need, then lint, types and tests. Arguments go to pytest.
#   bash scripts/test.sh                      the fast tests
#   bash scripts/test.sh -m "not gpu"         all that a machine without a GPU can run
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
install_mire train,audit,embedding,quantized,serve,ray,docs,dev

ruff check .
mypy
if [ -n "${CI:-}" ]; then
    python scripts/audit_pins.py
fi
if [ $# -eq 0 ]; then set -- -m "not slow and not gpu"; fi
# One worker per core, of one thread each: more threads than cores would only wait for each other.
OMP_NUM_THREADS=1 python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
