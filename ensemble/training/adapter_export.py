"""Export a Qwen2-VL adapter as a folder that plain transformers and PEFT load."""

import json
import shutil
from pathlib import Path

from ensemble.training.model_card import adapter_card, base_name
from experts.qwen2vl.adapter import CONFIG, WEIGHTS, read_manifest, write_manifest
from mire.atomic_files import write_text
from mire.errors import PanelError
from mire.labels import Task, save_taxonomy
from mire.panel_folder import PanelFolder
from mire.settings import Qwen2VL


def export_adapter(panel: PanelFolder, task: Task, out: Path) -> None:
    """Copy the adapter with its labels and its model card, without any path of this machine.

    Raises:
        PanelError: the panel has no such adapter, a file of it lies elsewhere, behind a link, or ``out`` is not an
            empty folder.
    """
    source = panel.voter(task, Qwen2VL.voter)
    manifest = read_manifest(source)
    panel.check_links(source / CONFIG, source / WEIGHTS, panel.task(task) / "taxonomy.json", panel.card(task))
    new_folder(out)
    name = base_name(manifest.base)
    config = json.loads((source / CONFIG).read_text(encoding="utf-8")) | {"base_model_name_or_path": name}
    write_text(out / CONFIG, json.dumps(config, indent=2) + "\n")
    shutil.copyfile(source / WEIGHTS, out / WEIGHTS)
    write_manifest(manifest.model_copy(update={"base": name}), out)
    save_taxonomy(panel.taxonomy(task), out / "taxonomy.json")
    write_text(out / "README.md", adapter_card(panel, task) + "\n")


def new_folder(out: Path) -> None:
    """Make the folder of an export.

    Raises:
        PanelError: something is there already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PanelError(f"an export is written into a new folder, but {out} is not empty; name another --out")
    out.mkdir(parents=True, exist_ok=True)
