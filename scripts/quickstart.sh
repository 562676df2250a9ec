#!/usr/bin/env bash
# Install, train on the shipped samples, predict the shipped test set, report. Needs Python 3.11 or newer.
#   bash scripts/quickstart.sh [--page] [--verbose]
# --page ends with a page on the trained panel; --verbose shows the libraries' messages too.
# After an interruption the same command resumes: what is finished is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
page= extras=train
for word in "$@"; do
    case $word in
        --page) page=yes extras=train,serve ;;
        --verbose) export MIRE_VERBOSE=1 ;;
        *) echo "usage: bash scripts/quickstart.sh [--page] [--verbose], got '$word'" >&2; exit 2 ;;
    esac
done
source scripts/environment.sh
install_mire "$extras"

out=runs/quickstart
train=(--data samples/train.json --images samples/images)
test=(--data samples/test.json --images samples/images)
step() { printf '[%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"; }

step "1 of 3: two voters that need no GPU and no adapter"
python -m ensemble.train all "${train[@]}" --panel "$out/first/panel" --config cpu \
    --set folds=2 --set 'panel.image=[clip_lightgbm]' --set clip.model=mire-nano --set clip.weights=random --quiet
python -m ensemble.predict "${test[@]}" --panel "$out/first/panel" --out "$out/first/submit.csv" --quiet
python -m ensemble.ablate "${test[@]}" --panel "$out/first/panel" --out "$out/first" --quiet
echo "to look at: $out/first/submit.csv, $out/first/ablation.html"

step "2 of 3: the whole ensemble in miniature, with a LoRA expert per task; a line per epoch"
python -m ensemble.train all "${train[@]}" --panel "$out/panel" --config nano
python -m ensemble.predict "${test[@]}" --panel "$out/panel" --out "$out/submit.csv" --quiet

step "3 of 3: what each voter adds, on samples that none of them has seen"
python -m ensemble.ablate "${test[@]}" --panel "$out/panel" --out "$out" --quiet
cat <<END
+-- done in $((SECONDS / 60)) min $((SECONDS % 60)) s ------------------------------------------------------------------------------
| $out/ablation.html: the report, to open in a browser; submit.csv: a label per test sample; panel/: the trained panel
| F1 is weighted over the labels, 1 is perfect; "mean panel" is the headline. Samples and base are toys: that everything
| runs is what this shows, not how well it reads real screens. Next, after "source .venv/bin/activate":
|   bash scripts/quickstart.sh --page                   a page on this panel (installs its packages first)
|   mire explain --panel $out/panel       the words that speak for each label
|   mire train all --data YOURS.json --images FOLDER --panel runs/mine --config cpu
END
if [ -n "$page" ]; then exec python -m ensemble.serve --panel "$out/panel"; fi
