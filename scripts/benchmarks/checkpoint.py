"""A checkpoint that answers with labels, as others' predict wants one: the adapter is in the weights."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from experts.qwen2vl.base import base_source, load_base
from experts.qwen2vl.training.trainer import train_adapter
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.settings import Qwen2VL, load_settings


def tuned_checkpoint(
    folder: Path, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: Qwen2VL, n_epochs: float
) -> None:
    """Tune the settings' base on labelled samples; ``folder`` gets what transformers saves, and ``adapter`` in it.

    Untuned weights never end a label, and every way that generates would then write to its limit.
    """
    whole = load_settings("nano").model_copy(update={"qwen2vl": settings})
    adapter = folder / "adapter"
    train_adapter(
        load_base(settings, device="cpu"), samples, [],
        taxonomy=taxonomy, settings=whole, folder=adapter, n_epochs=n_epochs,
    )  # fmt: skip
    base = load_base(settings, device="cpu")
    # Not before: a torchvision that cannot load its operators is mended where the base is loaded.
    from peft import PeftModel

    PeftModel.from_pretrained(base.model, adapter).merge_and_unload().save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    shutil.copy(Path(base_source(settings.base)) / "preprocessor_config.json", folder)
