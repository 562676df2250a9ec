"""Whether a configuration's weights are on this machine, and whether its models fit into memory."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mire.budget import ParameterCount
from mire.cache import cache_root
from mire.doctor.check import Check
from mire.labels import TASKS
from mire.settings import Clip, Settings

GIB = 2**30
_BYTES = {"bfloat16": 2, "float32": 4}
_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def weights(settings: Settings) -> Iterator[Check]:
    """For every model that the panel loads: where its weights are, or how to get them."""
    voters = {voter for task in TASKS for voter in settings.panel.voters(task)}
    if "qwen2vl" in voters:
        yield _base(settings.qwen2vl.base)
    if "clip_lightgbm" in voters:
        yield _clip(settings.clip)
    if "screen_text" in voters:
        yield _ocr()


def _base(base: str) -> Check:
    if base == "nano":
        built = any(cache_root().glob("nano*/config.json"))
        return Check(f"base nano: {'built' if built else 'is built on this machine when first needed'}")
    if Path(base).is_dir():
        whole = (Path(base) / "config.json").is_file() and any(Path(base).glob("*.safetensors"))
        fix = "" if whole else "download the base again: config.json or the safetensors files are missing"
        return Check(f"base {base}: the folder is {'complete' if whole else 'incomplete'}", fix)
    return _from_hub(f"base {base}", base, ("model.safetensors.index.json", "model.safetensors"), "qwen2vl.base")


def _clip(clip: Clip) -> Check:
    what = f"clip {clip.model}, weights {clip.weights}"
    if clip.weights == "random":
        return Check(f"{what}: nothing to download")
    if Path(clip.weights).is_file() or Path(clip.model).is_dir():
        return Check(f"{what}: found")
    from mire.compat import patch_torchvision

    patch_torchvision()
    import open_clip

    repository = str(open_clip.get_pretrained_cfg(clip.model, clip.weights).get("hf_hub", "")).rstrip("/")
    if not repository:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(clip.model)[:8]) or "none"
        return Check(f"{what}: neither a file nor a known tag", f"set clip.weights to a file, or one of: {known}")
    return _from_hub(what, repository, _CLIP_FILES, "clip.weights")


def _from_hub(what: str, repository: str, names: tuple[str, ...], entry: str) -> Check:
    from huggingface_hub import try_to_load_from_cache

    from mire.hub import offline_reason

    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in names):
        return Check(f"{what}: in the hub's cache")
    if reason := offline_reason():
        fix = f"download {repository} where the hub can be reached, and set {entry} to the copy's path"
        return Check(f"{what}: not on this machine, and {reason}", fix)
    return Check(f"{what}: is downloaded when first needed")


def _ocr() -> Check:
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        return Check("ocr: the package rapidocr is missing", "pip install rapidocr onnxruntime")
    n_models = len(list(Path(package.origin).parent.rglob("*.onnx")))
    fix = "" if n_models else "pip install --force-reinstall rapidocr"
    return Check(f"ocr: {n_models} models in the package rapidocr", fix)


def fit(count: ParameterCount, memory_bytes: int, kind: str) -> Check:
    """Whether the weights fit into ``memory_bytes``; ``kind`` is the number format in which they are loaded.

    A batch needs more; ``qwen2vl.token_budget`` bounds it.
    """
    need = count.total * _BYTES[kind]
    text = f"weights take {need / GIB:.1f} GiB as {kind}, of {memory_bytes / GIB:.1f} GiB free"
    if need < memory_bytes:
        return Check(f"{text}: {(memory_bytes - need) / GIB:.1f} GiB are left for batches and training")
    return Check(f"{text}: too little", "use a larger GPU or machine, or a smaller configuration: cpu or nano")
