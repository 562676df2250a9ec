"""LoRA training with transformers' Trainer: what it is given, and how it resumes."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from experts.qwen2vl.adapter import CONFIG, WEIGHTS, write_manifest
from experts.qwen2vl.adapters.lora import read_lora
from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.batch import Batch
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.model.device import default_device, emulates_bfloat16
from experts.qwen2vl.model.scoring import label_log_likelihoods
from experts.qwen2vl.training.checkpoints import (
    CHECKPOINTS,
    MADE_OF,
    has_digest,
    resume_from,
    run_digest,
    write_history,
)
from experts.qwen2vl.training.dataset import Collator, LengthGroupedSampler, PromptDataset
from experts.qwen2vl.training.distributed import init_process, load_rank_base, main_process_first, shard_frozen_base
from experts.qwen2vl.training.loss import balanced_weights, label_loss, r_drop_loss
from experts.qwen2vl.voter import manifest, prompt_encoder
from experts.weight_files import readable_as
from mire.doctor.forecast import Machine, training_plan
from mire.doctor.machine import LOADERS_NEED, shared_memory
from mire.doctor.training_cost import Shape
from mire.folds import read_folds
from mire.labels import Task, Taxonomy
from mire.launch_options import Kind
from mire.metrics import scores
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Lora, Settings, Training

if TYPE_CHECKING:
    from experts.qwen2vl.training.weight_average import WeightAverage


def train_adapter(
    base: Base,
    samples: Sequence[Sample],
    held_out: Sequence[Sample],
    *,
    taxonomy: Taxonomy,
    settings: Settings,
    folder: Path,
    n_epochs: float | None = None,
    start: Path | None = None,
    sharded: bool = False,
    title: str | None = None,
) -> None:
    """Train on ``samples`` for ``n_epochs`` (None: the settings'), and write a PEFT folder.

    The adapter is a new one, or that of the folder ``start``, trained further with a new optimiser and schedule.
    A line per epoch is logged that starts with ``title`` (None: the task). It holds F1 on ``held_out``, which decides
    nothing. A finished adapter of the same settings, samples and base is kept as it is; an interrupted run resumes
    from its last checkpoint, on any number of devices. Every process of a training calls this with its own copy of the
    base, of which ``sharded`` leaves it a part.

    Raises:
        PanelError: ``folder`` holds checkpoints of other settings, samples or base.
    """
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from transformers import set_seed

    from experts.qwen2vl.training.summed_weights import sum_weights

    digest = run_digest(settings, samples, held_out, n_epochs, base.fingerprint, start)
    if has_digest(folder, digest):
        return
    _, n_devices = init_process()
    with main_process_first():
        resume = resume_from(folder / CHECKPOINTS, digest)
    set_seed(settings.seed)
    machine = _machine(n_devices, "fsdp" if sharded else "ddp")
    options = training_plan(settings, taxonomy.task, Shape.read(base.model.config), machine).training
    encoder = prompt_encoder(base, taxonomy, settings.qwen2vl)
    trie = encoder.label_trie(taxonomy)
    model = get_peft_model(base.model, _lora_config(LoraConfig, settings.qwen2vl.lora))
    if start:
        set_peft_model_state_dict(model, read_lora(start).state())
    if sharded and n_devices > 1:
        shard_frozen_base(model)
    else:
        sum_weights(model)
    average = _average(model, options)
    trainer = _trainer(
        model,
        _arguments(
            options.model_copy(update={"epochs": n_epochs or options.epochs}),
            folder / CHECKPOINTS,
            settings.seed,
            model=base.model,
            n_devices=n_devices,
            evaluated=bool(held_out),
        ),
        train=PromptDataset(samples, encoder, taxonomy),
        valid=PromptDataset(held_out, encoder, taxonomy) if held_out else None,
        collator=Collator(trie, base.image_pad, base.pad, base.family.patch, distributed=n_devices > 1),
        trie=trie,
        options=options,
        average=average,
        title=title or taxonomy.task,
    )
    trainer.train(resume_from_checkpoint=resume)
    if average:
        average.apply()
    if trainer.is_world_process_zero():
        model.save_pretrained(folder)
        readable_as(folder / WEIGHTS, folder / CONFIG)
        write_history(trainer.state.log_history, folder)
        write_manifest(manifest(base, taxonomy, settings.qwen2vl), folder)
        # Last: a folder with this mark holds a finished adapter.
        (folder / CHECKPOINTS / MADE_OF).replace(folder / MADE_OF)
        shutil.rmtree(folder / CHECKPOINTS)


def train_in_panel(
    panel: PanelFolder,
    task: Task,
    *,
    data: Path,
    images: Path,
    folder: Path,
    fold: int | None,
    n_epochs: float | None,
    start: Path | None,
    seed: int | None,
    sharded: bool,
) -> None:
    """Train an adapter on the samples of a file that the panel assigns to a fold other than ``fold`` (None: to any).

    ``seed`` takes the place of the settings' (None: theirs).

    Raises:
        DataError, PanelError: as ``read_samples`` and ``train_adapter``.
    """
    settings, folds = panel.settings(), read_folds(panel.folds(task))
    title = f"{task}, {'all folds' if fold is None else f'without fold {fold}'}"
    if seed is not None:
        settings, title = settings.model_copy(update={"seed": seed}), f"{title}, seed {seed}"
    samples = [sample for sample in panel.read_samples(data, images) if sample.id in folds]
    pseudo = panel.pseudo(task, fold)
    learned = [sample for sample in samples if folds[sample.id] != fold]
    learned += panel.read_samples(pseudo, images) if pseudo.is_file() else []
    train_adapter(
        load_rank_base(settings.qwen2vl, sharded=sharded),
        learned,
        [sample for sample in samples if folds[sample.id] == fold],
        taxonomy=panel.taxonomy(task),
        settings=settings,
        folder=folder,
        n_epochs=n_epochs,
        start=start,
        sharded=sharded,
        title=title,
    )


def _machine(n_devices: int, kind: Kind) -> Machine:
    """Devices like this process's, as if nothing of it lay there."""
    gpu = torch.cuda.is_available()
    memory = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() if gpu else 0
    return Machine(n_devices, gpu, memory, kind)


def _average(model: Any, options: Training) -> "WeightAverage | None":
    from experts.qwen2vl.training.weight_average import WeightAverage

    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return WeightAverage(learned, options) if options.averaged else None


def _lora_config(kind: Any, lora: Lora) -> Any:
    return kind(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type="CAUSAL_LM",
    )


def _arguments(options: Training, checkpoints: Path, seed: int, *, model: Any, n_devices: int, evaluated: bool) -> Any:
    from transformers import TrainingArguments

    os.environ["TENSORBOARD_LOGGING_DIR"] = str(checkpoints.parent / "logs")
    n_loaders = _n_loaders()
    micro_batch_size, n_steps = options.share(n_devices)
    return TrainingArguments(
        output_dir=str(checkpoints),
        seed=seed,
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        lr_scheduler_type=options.schedule,
        warmup_steps=options.warmup,
        weight_decay=options.weight_decay,
        per_device_train_batch_size=micro_batch_size,
        per_device_eval_batch_size=options.micro_batch_size,
        gradient_accumulation_steps=n_steps,
        gradient_checkpointing=options.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if options.gradient_checkpointing else None,
        # Autocast would bring float32 products to a format that the CPU only emulates, a hundred times slower.
        bf16=model.dtype == torch.bfloat16 and not emulates_bfloat16(model.lm_head.weight),
        fp16=model.dtype == torch.float16,
        use_cpu=default_device() == "cpu",
        eval_strategy="epoch" if evaluated else "no",
        save_strategy="epoch",
        save_total_limit=1,
        logging_strategy="epoch",
        report_to=["tensorboard"],
        remove_unused_columns=False,
        label_names=["label_indices"],
        dataloader_num_workers=n_loaders,
        # Each keeps the pictures that it has decoded, for the next epoch.
        dataloader_persistent_workers=n_loaders > 0,
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        disable_tqdm=True,
    )


def _n_loaders() -> int:
    """Processes that decode pictures beside a GPU, where they have the memory to hand them over."""
    return 4 if torch.cuda.is_available() and shared_memory() >= LOADERS_NEED else 0


def _trainer(
    model: Any,
    arguments: Any,
    *,
    train: PromptDataset,
    valid: PromptDataset | None,
    collator: Collator,
    trie: LabelTrie,
    options: Training,
    average: "WeightAverage | None",
    title: str,
) -> Any:
    from transformers import PrinterCallback, Trainer

    from experts.qwen2vl.training.epoch_log import EpochLog
    from experts.qwen2vl.training.safe_steps import SafeSteps

    path_lengths = torch.tensor([len(path) for path in trie.paths])
    class_weights = balanced_weights(train.labels, len(trie.paths)) if options.class_weights == "balanced" else None

    class LabelTrainer(Trainer):
        """The Trainer with our loss and our order of samples."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            # Devices that step together get similar work; one device takes the same order.
            return LengthGroupedSampler(train.lengths, options.batch_size, arguments.seed)

        def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
            labels: Tensor = inputs["label_indices"]
            batch: Batch = inputs["batch"].to(labels.device)
            weights = None if class_weights is None else class_weights.to(labels.device)
            rest = labels, options, path_lengths.to(labels.device), weights
            log_likelihoods = label_log_likelihoods(model, batch, trie)
            if options.r_drop and model.training:
                loss = r_drop_loss((log_likelihoods, label_log_likelihoods(model, batch, trie)), *rest)
            else:
                loss = label_loss(log_likelihoods, *rest)
            return (loss, log_likelihoods) if return_outputs else loss

        def prediction_step(
            self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
        ) -> tuple[Tensor, Tensor, Tensor]:
            inputs = self._prepare_inputs(inputs)
            with torch.no_grad():
                loss, log_likelihoods = self.compute_loss(model, inputs, return_outputs=True)
            return loss.detach(), log_likelihoods.detach(), inputs["label_indices"]

        # The average is in a checkpoint before the trainer's state, which marks it as whole.
        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            super()._save_optimizer_and_scheduler(output_dir)
            if average and self.args.should_save:
                average.save(Path(output_dir))

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            super()._load_optimizer_and_scheduler(checkpoint)
            if average and checkpoint:
                average.load(Path(checkpoint))

    trainer = LabelTrainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=valid,
        data_collator=collator,
        compute_metrics=_weighted_f1,
        callbacks=[EpochLog(title, evaluated=valid is not None), SafeSteps(), *([average] if average else [])],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _weighted_f1(outcome: Any) -> dict[str, float]:
    guessed = np.asarray(outcome.predictions).argmax(axis=-1)
    result = scores([str(label) for label in outcome.label_ids], [str(guess) for guess in guessed])
    return {"f1": result.f1, "accuracy": result.accuracy}
