#!/usr/bin/env bash
# Install, train on the shipped samples, predict the shipped test set, report. Needs Python 3.11 or newer.
#   bash scripts/quickstart.sh [--page] [--verbose]
# --page ends with a page on the trained panel; --verbose shows the libraries' messages too.
# After an interruption the same command resumes: what is finished is kept. After the install it is `mire quickstart`.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=train
for word in "$@"; do
    case $word in
        --page) extras=train,serve ;;
        --verbose) ;;
        *) echo "usage: bash scripts/quickstart.sh [--page] [--verbose], got '$word'" >&2; exit 2 ;;
    esac
done
source scripts/environment.sh
install_mire "$extras"
exec python -m ensemble.quickstart "$@"
