#!/usr/bin/env bash
# Install, train `nano` on the shipped samples, predict the shipped test set, ablate. Needs Python 3.11 or newer.
#   bash scripts/quickstart.sh
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
install_mire train

out=runs/quickstart
rm -rf "$out"
started=$SECONDS
bash scripts/train_experts.sh all --config nano --data samples/train.json --images samples/images --panel "$out/panel"
trained=$SECONDS
python -m ensemble.predict --data samples/test.json --images samples/images --panel "$out/panel" --out "$out/submit.csv"
predicted=$SECONDS
python -m ensemble.ablate --data samples/test.json --images samples/images --panel "$out/panel" --out "$out"
echo
echo "trained in $((trained - started)) s, predicted in $((predicted - trained)) s, ablated in $((SECONDS - predicted)) s"
echo "look at $out/ablation.html, $out/submit.csv, $out/panel/"
