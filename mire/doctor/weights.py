"""Whether a configuration's weights are on this machine, and whether its models fit into memory."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from mire.budget import ParameterCount
from mire.doctor.check import Check
from mire.errors import PanelError
from mire.model_sizes import clip_weights
from mire.settings import Clip, Settings

GIB = 2**30
_BYTES = {"bfloat16": 2, "float32": 4}


def weights(settings: Settings) -> Iterator[Check]:
    """For every model that the panel loads: where its weights are, or how to get them."""
    from experts.registry import VOTERS

    for name in settings.panel.names:
        yield from VOTERS[name].resolve().weights_checks(settings.stage(name))


def base_check(base: str) -> Check:
    """Whether a Qwen2-VL base is here."""
    if base == "nano":
        return Check("base nano: ships with the package")
    if Path(base).is_dir():
        from experts.weight_files import check_base_folder

        return _opened(f"base {base}", lambda: check_base_folder(Path(base)))
    return _from_hub(f"base {base}", base, ("model.safetensors.index.json", "model.safetensors"), "qwen2vl.base")


def clip_check(clip: Clip) -> Check:
    """Whether an open_clip model's weights are here."""
    what = f"clip {clip.model}, weights {clip.weights}"
    if clip.weights == "random":
        return Check(f"{what}: nothing to download")
    if Path(clip.weights).is_file() or Path(clip.model).is_dir():
        from experts.clip_lightgbm.embed import check_clip_files

        return _opened(what, lambda: check_clip_files(clip))
    from mire.compat import patch_torchvision

    patch_torchvision()
    import open_clip

    found = clip_weights(clip.model, clip.weights)
    if found is None or not found[0]:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(clip.model)[:8]) or "none"
        return Check(f"{what}: neither a file nor a known tag", f"set clip.weights to a file, or one of: {known}")
    return _from_hub(what, found[0], found[1:], "clip.weights")


def _opened(what: str, check: Callable[[], None]) -> Check:
    """Files that are there, each opened; what is wrong with the first that is not whole."""
    try:
        check()
    except PanelError as error:
        fault, _, fix = str(error).rpartition("; ")
        return Check(f"{what}: {fault}", fix)
    return Check(f"{what}: the files are there and whole")


def _from_hub(what: str, repository: str, names: tuple[str, ...], entry: str) -> Check:
    from huggingface_hub import try_to_load_from_cache

    from mire.hub import offline_reason

    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in names):
        return Check(f"{what}: in the hub's cache")
    if reason := offline_reason():
        fix = f"download {repository} where the hub can be reached, and set {entry} to the copy's path"
        return Check(f"{what}: not on this machine, and {reason}", fix)
    return Check(f"{what}: is downloaded when first needed")


def ocr_check() -> Check:
    """Whether RapidOCR's models are here."""
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        return Check("ocr: the package rapidocr is missing", "pip install rapidocr onnxruntime")
    n_models = len(list(Path(package.origin).parent.rglob("*.onnx")))
    fix = "" if n_models else "pip install --force-reinstall rapidocr"
    return Check(f"ocr: {n_models} models in the package rapidocr", fix)


def fit(count: ParameterCount, memory_bytes: int, kind: str, saved: int = 0) -> Check:
    """Whether the weights fit into ``memory_bytes``; ``kind`` is the number format in which they are loaded.

    Quantising saves ``saved`` bytes of them. A batch needs more; ``qwen2vl.token_budget`` bounds it.
    """
    need = count.total * _BYTES[kind] - saved
    text = f"weights take {need / GIB:.1f} GiB as {kind}, of {memory_bytes / GIB:.1f} GiB free"
    if need < memory_bytes:
        return Check(f"{text}: {(memory_bytes - need) / GIB:.1f} GiB are left for batches and training")
    return Check(f"{text}: too little", "use a larger GPU or machine, or a smaller configuration: cpu or nano")
