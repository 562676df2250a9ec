"""Write a Qwen2-VL adapter as a folder that plain transformers and PEFT load, without this project.

python -m ensemble.export --panel runs/p --task image --out FOLDER
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from mire.cli import parser, run, say
from mire.errors import PanelError
from mire.labels import TASKS, Task
from mire.panel_folder import PanelFolder


def export_adapter(panel: PanelFolder, task: Task, out: Path) -> None:
    """Copy the adapter with its labels and its card; no path of this machine goes along.

    Raises:
        PanelError: the panel has no such adapter, or ``out`` is not an empty folder.
    """
    from ensemble.card import adapter_card, base_name
    from experts.qwen2vl.adapter import CONFIG, WEIGHTS, read_manifest, write_manifest
    from mire.labels import save_taxonomy

    source = panel.voter(task, "qwen2vl")
    manifest = read_manifest(source)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PanelError(f"an adapter is written into a new folder, but {out} is not empty")
    out.mkdir(parents=True, exist_ok=True)
    name = base_name(manifest.base)
    config = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"base_model_name_or_path": name}
    (out / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(source / WEIGHTS, out / WEIGHTS)
    write_manifest(manifest.model_copy(update={"base": name}), out)
    save_taxonomy(panel.taxonomy(task), out / "taxonomy.json")
    (out / "README.md").write_text(adapter_card(panel, task) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.export", "Write an adapter as a folder that plain PEFT loads.")
    options.add_argument("--panel", type=Path, required=True)
    options.add_argument("--task", choices=TASKS, required=True)
    options.add_argument("--out", type=Path, required=True, help="a new folder")
    chosen = options.parse_args(argv)
    export_adapter(PanelFolder(chosen.panel), chosen.task, chosen.out)
    say(f"{chosen.out}: the {chosen.task} adapter, its labels and its card")


if __name__ == "__main__":
    raise SystemExit(run(main))
