"""Model cards of a panel and its adapters, written at the end of training from the actual run."""

import hashlib
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

import mire
from ensemble.evaluation.held_out_votes import collect_held_out_votes
from ensemble.evaluation.subset_scores import SubsetScore, score_subset
from ensemble.panel import Panel, TaskPanel, Votes, ready
from ensemble.training.training_set import TrainingSet
from experts.qwen2vl.adapter import read_manifest
from experts.qwen2vl.training.checkpoints import last_epoch
from experts.registry import VOTERS
from mire.atomic_files import write_text
from mire.cache import empty_cache
from mire.labels import TASKS, Task
from mire.panel_card import Card, Checks, DraftsGain, Figures, fingerprint, read_card
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Qwen2VL, Settings

N_TIMED = 32
LIBRARIES = ("torch", "transformers", "peft", "lightgbm", "scikit-learn", "rapidocr")
_TRAINING = {"trained", "data", "data_digest", "n_samples", "n_labels", "n_guessed", "examples", "drafts"}
"""What a card says of the training itself."""
_HOW_JUDGED = (
    "Figures are weighted F1 with 95 % bootstrap intervals, on samples that the voter was not trained on; the panel's "
    "weights are cross-fitted."
)


def write_cards(
    known: TrainingSet,
    checks: Mapping[str, Checks],
    *,
    trained: Card | None = None,
    drafts: Mapping[str, DraftsGain] = MappingProxyType({}),
) -> None:
    """Write a task's ``card.json``, and the adapter's README.md, where there is one.

    ``checks`` holds those of the voters, by name, and ``drafts`` what made-up turns add to each that learns from them.
    ``trained`` is the card of the training where this one only added a voter: what was trained on stays as it was.
    """
    scored = _scores(known)
    names = known.settings.panel.voters(known.task)
    counts = Counter(sample.label for sample in known.samples)
    card = Card(
        task=known.task,
        configuration=known.settings.name,
        trained=datetime.now(UTC).date().isoformat(),
        data=known.data.name if known.data else "",
        data_digest=hashlib.sha256(known.data.read_bytes()).hexdigest()[:12] if known.data else "",
        n_samples=len(known.samples),
        n_labels=len({sample.label for sample in known.samples}),
        n_guessed=len(known.inside(None)) - len(known.samples),
        n_folds=known.settings.folds if known.divided else 0,
        voters={name: scored[name,] for name in names if (name,) in scored},
        panel=scored.get(names),
        versions={"mire": mire.__version__, **{name: version(name) for name in LIBRARIES}},
        commit=_commit(),
        milliseconds=measure_latency_ms(Panel.load(known.panel.root, [known.task]).tasks[known.task], known.samples),
        examples={label: counts[label] for label in known.settings.taxonomy(known.task).labels},
        checks=dict(checks),
        drafts=dict(drafts),
    )
    if trained:
        card = card.model_copy(update=trained.model_dump(include=_TRAINING))
    write_text(known.panel.card(known.task), card.model_dump_json(indent=2) + "\n")
    for name in (name for name in names if VOTERS[name].adapters):
        write_text(known.panel.voter(known.task, name) / "README.md", adapter_card(known.panel, known.task) + "\n")


def _scores(known: TrainingSet) -> dict[tuple[str, ...], Figures]:
    """The figures of each voter, and of all together, by their names; none where no sample was held out."""
    if not known.divided:
        return {}
    (held_out,) = collect_held_out_votes({known.task: known.samples}, known.panel.root)
    names = tuple(held_out.votes)
    return {subset: _figures(score_subset(held_out, subset)) for subset in (*((name,) for name in names), names)}


def panel_card(panel: PanelFolder) -> str:
    """The panel's README: each trained task, then the settings."""
    settings = panel.settings()
    cards = [card for task in TASKS if (card := read_card(panel, task))]
    parts = [
        f"# MIRE panel `{settings.name}`",
        f"Fingerprint `{fingerprint(panel)}`. {_HOW_JUDGED}",
        *(f"## {card.task.capitalize()} task\n\n{_training(card)}\n\n{_rests_on(card)}" for card in cards),
        f"## Settings\n\n```yaml\n{_yaml(_used(settings))}```",
    ]
    return "\n\n".join(parts)


def write_panel_card(panel: PanelFolder) -> None:
    """Write the panel's README."""
    with panel.shared():
        write_text(panel.root / "README.md", panel_card(panel) + "\n")


def adapter_card(panel: PanelFolder, task: Task) -> str:
    """The README of a Qwen2-VL adapter, as PEFT folders carry it.

    Raises:
        PanelError: the panel has no such adapter.
    """
    settings = panel.settings().qwen2vl
    made = read_manifest(panel.voter(task, Qwen2VL.voter))
    card = read_card(panel, task)
    base = base_name(made.base)
    training = settings.training(task).model_dump(mode="json") | {"lora": settings.lora.model_dump(mode="json")}
    parts = [
        f"---\nbase_model: {base}\nlibrary_name: peft\ntags:\n- lora\n- mire\n---",
        f"# LoRA adapter for MIRE's {task} task",
        f"Made for the base `{base}` (weights `{made.base_fingerprint}`). It reads the `{made.layout}` prompt with "
        f"pictures of {made.min_pixels:,} to {made.max_pixels:,} pixels, and its answer is one of the labels in "
        "`taxonomy.json`.",
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForImageTextToText\n\n"
        f'base = AutoModelForImageTextToText.from_pretrained("{base}")\n'
        'model = PeftModel.from_pretrained(base, "path of this folder")\n```',
        *([f"## Training\n\n{_training(card)} {_HOW_JUDGED}\n\n{_table(card)}"] if card else []),
        f"Out-of-fold votes on {settings.vote_folds} of {panel.settings().folds} folds. {_final(panel, task)}",
        f"```yaml\n{_yaml(training)}```",
    ]
    return "\n\n".join(parts)


def _final(panel: PanelFolder, task: Task) -> str:
    """Where the adapter's weights come from."""
    settings, name = panel.settings(), Qwen2VL.voter
    n_seeds, final = settings.qwen2vl.final_seeds, settings.qwen2vl.final
    if final == "merge":
        return "This adapter is the average of theirs."
    n_epochs = last_epoch(panel.voter(task, name) if n_seeds == 1 else panel.seed_voter(task, name, settings.seed))
    if n_epochs is None:
        return "This adapter was trained elsewhere."
    if n_seeds > 1:
        return (
            f"This adapter is the exact average of {n_seeds}, each the first of theirs, trained on all samples for "
            f"{n_epochs:.1f} further epochs with a seed of its own."
        )
    if final == "continue":
        return f"This adapter is the first of theirs, trained on all samples for {n_epochs:.1f} further epochs."
    return f"This adapter was trained once more on all samples, for {n_epochs:.1f} epochs."


def _used(settings: Settings) -> dict[str, Any]:
    """The settings without the stages of voters that are not on the panel."""
    stages, names = settings.stages(), settings.panel.names
    return settings.model_dump(mode="json", exclude={entry for entry in stages if stages[entry].voter not in names})


def base_name(base: str) -> str:
    """A base's name without machine paths: its hub name, or the last part of a local folder."""
    return Path(base).name if Path(base).is_dir() else base


def _training(card: Card) -> str:
    if not card.data:
        return f"Trained {card.trained} on the labels' names and descriptions alone, without any sample."
    guessed = f", and {card.n_guessed:,} with guessed labels" if card.n_guessed else ""
    versions = ", ".join(f"{name} {number}" for name, number in card.versions.items())
    return (
        f"Trained {card.trained} on {card.n_samples:,} labelled samples of {card.n_labels} labels{guessed}, in "
        f"{card.n_folds} folds. Data: `{card.data}` (SHA-256 {card.data_digest}). Made with {versions}"
        + (f", commit {card.commit}." if card.commit else ".")
    )


def _rests_on(card: Card) -> str:
    """The labels by what they were learned from, where some have no example; then the figures."""
    added = [f"{label} (examples: {n})" for label, n in card.added.items()]
    later = f"Not trained, known by examples that were added later: {', '.join(added)}." if added else ""
    helped = (_helped(name, gain) for name, gain in card.drafts.items())
    said = "\n\n".join(filter(None, [later, _table(card), *helped]))
    if all(card.examples.values()):
        return said
    alone = "description only" if not card.voters or any(VOTERS[name].describes for name in card.voters) else "nothing"
    labels = [f"{label} ({f'examples: {n}' if n else alone})" for label, n in card.examples.items()]
    return f"Each label rests on: {', '.join(labels)}.\n\n{said}"


def _helped(voter: str, gain: DraftsGain) -> str:
    return (
        f"The drafts change the F1 of {voter} by {gain.f1 - gain.without:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}): "
        f"{gain.f1:.3f} with them, {gain.without:.3f} without."
    )


def _table(card: Card) -> str:
    if card.panel is None:
        return "No sample could be held out, so no figure was measured."
    spent = card.milliseconds
    rows = [
        *((name, f, spent.get(name)) for name, f in card.voters.items()),
        ("**panel**", card.panel, sum(spent.values())),
    ]
    lines = [f"| {name} | {f.f1:.3f} | {f.low:.3f} to {f.high:.3f} | {f.n} | {_ms(taken)} |" for name, f, taken in rows]
    table = "\n".join(["| voter | F1 | 95 % interval | n | ms per sample |", "|---|---|---|---|---|", *lines])
    return "\n\n".join([table, *(_checked(name, checks) for name, checks in card.checks.items())])


def _checked(name: str, checks: Checks) -> str:
    """A voter's figures beside F1, and its accidents."""
    figures = ", ".join(f"{what} {share:.0%} (n {n})" for what, (share, n) in checks.figures.items())
    return f"{name}: {figures}. " + ("; ".join(checks.accidents) or "No accident was found.")


def _ms(milliseconds: float | None) -> str:
    return f"{milliseconds:.1f}" if milliseconds else ""


def _figures(score: SubsetScore) -> Figures:
    return Figures(**score.figures.model_dump(include={"n", "f1", "low", "high"}))


def _yaml(body: object) -> str:
    return yaml.safe_dump(body, allow_unicode=True, sort_keys=False)


def _commit() -> str:
    """The checkout's commit, with ``-dirty`` if files differ; empty if this is not a git checkout."""
    root = Path(mire.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        said = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()


def measure_latency_ms(panel: TaskPanel, samples: Sequence[Sample]) -> dict[str, float]:
    """Milliseconds per sample of each voter, by name, on this machine and with an empty cache.

    The first sample triggers lazy loading and is not timed, unless it is the only one.
    """
    if not samples:
        return {}
    first, timed = samples[:1], samples[1 : N_TIMED + 1] or samples[:1]
    taken: dict[str, float] = {}
    votes: Votes = {}
    with empty_cache():
        for voter in panel.voters:
            asked = ready(voter, votes)
            asked.vote(first)
            started = time.monotonic()
            votes[voter.name] = asked.vote(timed)
            taken[voter.name] = round(1000 * (time.monotonic() - started) / len(timed), 2)
    return taken
