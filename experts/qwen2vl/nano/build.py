"""``nano``: a Qwen2-VL of a few million parameters, which ships with the package.

The same classes, file layout, special tokens, chat template and processor settings as
Qwen2-VL-7B-Instruct, so that everything that loads the real model loads this one. Its vocabulary is small,
so the ids of the special tokens differ; no id is hard-coded in this project.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mire.atomic_files import write_text
from mire.labels import TASKS, builtin_taxonomy
from mire.model_sizes import base_shape

RECIPE = "recipe.json"
SEED = 7
N_STEPS = 640
VOCABULARY = 5600
# In Qwen2's own order; the order decides the ids.
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
CHAT_TEMPLATE = (
    "{% set ns = namespace(system=false) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""What Qwen2-VL's template renders, for text, pictures and videos."""
# How Qwen2 splits text before the byte-level BPE.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def nano_folder() -> Path:
    """The folder of the model that ships: pre-trained, in bfloat16."""
    return Path(__file__).parent / "base"


def recipe() -> dict[str, str]:
    """What decides the model's weights, beside the dialogues' phrases and the labels.

    ``sources`` are 16 hex digits of this package's code and the shape; the rest decides how float32 sums are rounded:
    the version of torch, the CPU's vector instructions, and the CPU's maker, for which torch chooses matrix kernels.
    """
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    maker = next((line.rpartition(" ")[2] for line in lines if line.startswith("vendor_id")), platform.machine())

    # Read as text: a checkout may end lines in its own way.
    parts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    sources = "\n".join([*parts, json.dumps(base_shape("nano"))])
    return {
        "sources": hashlib.sha256(sources.encode()).hexdigest()[:16],
        "torch": torch.__version__.partition("+")[0],
        "cpu": f"{maker} {torch.backends.cpu.get_cpu_capability()}",
    }


def build_nano(folder: Path, *, n_steps: int = N_STEPS) -> None:
    """Write the model in bfloat16, the tokenizer, the processor's settings and ``recipe.json`` into ``folder``.

    The model is pre-trained for ``n_steps`` on synthetic prompts (0: random weights), on one thread: the order of
    sums would change with their number.
    """
    import torch

    from mire.compat import patch_torchvision

    patch_torchvision()
    from transformers import Qwen2VLForConditionalGeneration

    from experts.qwen2vl.model.fast_modules import install_fast_modules
    from experts.qwen2vl.nano.pretrain import pretrain

    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(folder)
    _save_processor(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = Qwen2VLForConditionalGeneration(_config(tokenizer))
        install_fast_modules(model)
        pretrain(model, tokenizer, n_steps=n_steps, seed=SEED)
    model.to(torch.bfloat16).save_pretrained(folder)
    write_text(folder / RECIPE, json.dumps(recipe(), indent=2) + "\n")


def build_tokenizer() -> Any:
    """A byte-level BPE like Qwen2's, trained on the labels' own words and every common character."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_corpus(), trainer)
    return Qwen2TokenizerFast(
        tokenizer_object=backend,
        # Tokens of the vocabulary, no passwords.
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        chat_template=CHAT_TEMPLATE,
        model_max_length=32768,
    )


def _corpus() -> Iterator[str]:
    for task in TASKS:
        for label in builtin_taxonomy(task).entries:
            yield from [label.name] * 20
            yield label.description
            yield label.gloss
    yield from ["用户:", "客服:", "system", "user", "assistant", "You are a helpful assistant."] * 20
    for character in _common_characters():
        yield from [character] * 2


def _common_characters() -> Iterator[str]:
    """The 3,755 everyday characters: level 1 of GB 2312, which is rows 16 to 55 of its table."""
    for row in range(0xB0, 0xD8):
        for cell in range(0xA1, 0xFF):
            yield bytes((row, cell)).decode("gb2312", errors="ignore")


def _config(tokenizer: Any) -> Any:
    from transformers import Qwen2VLConfig

    def special(token: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(token))

    shape = base_shape("nano")
    shape["text_config"] |= {
        "bos_token_id": special("<|endoftext|>"),
        "eos_token_id": special("<|im_end|>"),
        "pad_token_id": special("<|endoftext|>"),
    }
    return Qwen2VLConfig(
        **shape,
        image_token_id=special("<|image_pad|>"),
        video_token_id=special("<|video_pad|>"),
        vision_start_token_id=special("<|vision_start|>"),
        vision_end_token_id=special("<|vision_end|>"),
    )


def _save_processor(folder: Path) -> None:
    """Qwen2-VL-7B-Instruct's processor settings."""
    settings = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
        "min_pixels": 3136,
        "max_pixels": 12845056,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
