#!/usr/bin/env bash
# Train the experts of one task or both, cast out-of-fold votes, fit the vote.
#   bash scripts/train_experts.sh image|dialogue|all --data F --images D --panel P [--config nano|cpu|qwen2-vl-7b|FILE] \
#       [--launch ddp|fsdp] [--devices N]
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
# An active environment wins; else the one that quickstart.sh and test.sh make.
if [ -z "${VIRTUAL_ENV:-}" ] && [ -x "$here/.venv/bin/python" ]; then
    export VIRTUAL_ENV="$here/.venv" PATH="$here/.venv/bin:$PATH"
fi
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
exec env MIRE_TYPED="bash scripts/train_experts.sh" python3 -m ensemble.train "$@"
