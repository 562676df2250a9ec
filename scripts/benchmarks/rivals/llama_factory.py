"""LLaMA-Factory's predict, in a virtual environment of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mire.cache import cache_root
from mire.cli import say
from mire.errors import MireError

PACKAGES = (
    "llamafactory==0.9.5", "torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0", "jieba", "nltk", "rouge-chinese",
)  # fmt: skip
_SET = "bench"


@dataclass(frozen=True)
class Predicted:
    """Samples/s, and the texts that were generated, in the records' order."""

    samples_per_second: float
    texts: tuple[str, ...]


def predict(
    records: Sequence[dict[str, object]],
    images: Path,
    checkpoint: Path,
    work: Path,
    *,
    batch_size: int,
    n_new: int,
    max_pixels: int,
    n_threads: int,
) -> Predicted:
    """The answers to official records, and the rate that its trainer reports for them, loading not counted.

    It computes in the number format of the checkpoint.

    Raises:
        MireError: it could not be installed, or failed; its last line is named.
    """
    program = _installed()
    work.mkdir(parents=True, exist_ok=True)
    columns = {"prompt": "instruction", "query": "input", "response": "output", "images": "image"}
    (work / "dataset_info.json").write_text(json.dumps({_SET: {"file_name": "data.json", "columns": columns}}))
    # It drops records without an answer, and only their length matters here.
    rows = [{**record, "output": record["output"] or "?"} for record in records]
    (work / "data.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    options = {
        "stage": "sft", "do_predict": True, "predict_with_generate": True, "finetuning_type": "full",
        "model_name_or_path": checkpoint, "template": "qwen2_vl", "eval_dataset": _SET, "dataset_dir": work,
        "media_dir": images, "output_dir": work / "out", "overwrite_output_dir": True, "cutoff_len": 4096,
        "per_device_eval_batch_size": batch_size, "max_new_tokens": n_new, "do_sample": False,
        "image_max_pixels": max_pixels, "report_to": "none",
    }  # fmt: skip
    (work / "predict.yaml").write_text(json.dumps(options, default=str))
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(n_threads), "USE_MODELSCOPE_HUB": "0", "HF_HUB_OFFLINE": "1",
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)
    ran = subprocess.run(
        [program, "train", work / "predict.yaml"],
        env=environment,
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    result = work / "out" / "predict_results.json"
    if ran.returncode or not result.is_file():
        raise MireError(f"LLaMA-Factory failed: {(ran.stderr.strip().splitlines() or ['no output'])[-1]}")
    rate = float(json.loads(result.read_text())["predict_samples_per_second"])
    lines = (work / "out" / "generated_predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return Predicted(rate, tuple(json.loads(line)["predict"].strip() for line in lines))


def _installed() -> Path:
    """The program, installed on the first call."""
    folder = cache_root() / "bench" / "llama-factory"
    program = folder / "bin" / "llamafactory-cli"
    if not program.is_file():
        say(f"installing {PACKAGES[0]} into {folder}")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        made = subprocess.run([folder / "bin" / "pip", "install", "-q", *PACKAGES], check=False)
        if made.returncode:
            raise MireError(f"{' '.join(PACKAGES)} could not be installed into {folder}; delete it to try again")
    return program
