"""The loss of a training: over the labels, which is what prediction ranks, or over the answer's tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from mire.settings import Training


def label_loss(
    log_likelihoods: Tensor,
    labels: Tensor,
    options: Training,
    path_lengths: Tensor,
    class_weights: Tensor | None = None,
) -> Tensor:
    """The mean loss of a batch of B samples, a scalar; the prompt's own tokens do not count.

    ``log_likelihoods`` (B, n_labels) float32; ``labels`` (B,) the right labels' indices; ``path_lengths`` (n_labels,)
    the tokens of each label; ``class_weights`` (n_labels,) what a sample of each label counts. ``options.loss`` is

    - ``sft``: negative log-likelihood per token of the right labels, as in ordinary fine-tuning;
    - ``label_set``: cross-entropy over the label set, with the options' smoothing and Brier term.
    """
    if options.loss == "sft":
        right = log_likelihoods.gather(1, labels[:, None]).squeeze(1)
        return -(_weighted(right, labels, class_weights).sum() / path_lengths[labels].sum())
    losses = cross_entropy(log_likelihoods, labels, label_smoothing=options.label_smoothing, reduction="none")
    if options.brier:
        missed = log_likelihoods.softmax(dim=-1) - one_hot(labels, log_likelihoods.shape[-1])
        losses = losses + options.brier * missed.square().sum(dim=-1)
    # Divided by the number of samples: torch's own weighted mean would take the weights out of a batch of one.
    return _weighted(losses, labels, class_weights).mean()


def _weighted(values: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
    return values if class_weights is None else values * class_weights[labels]


def balanced_weights(labels: Sequence[int], n_labels: int) -> Tensor:
    """What a sample of each label counts so that all labels that occur count the same; mean 1 over the samples."""
    counts = torch.bincount(torch.tensor(labels), minlength=n_labels)
    weights = len(labels) / (int((counts > 0).sum()) * counts.clamp(min=1))
    return weights * (counts > 0)
