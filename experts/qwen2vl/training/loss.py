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


def r_drop_loss(
    passes: tuple[Tensor, Tensor],
    labels: Tensor,
    options: Training,
    path_lengths: Tensor,
    class_weights: Tensor | None = None,
) -> Tensor:
    """The loss of two passes of a batch with other dropout masks, a scalar: R-Drop (https://arxiv.org/abs/2106.14448).

    It is the mean of both ``label_loss``, plus ``options.r_drop`` times half the sum of the KL divergences between both
    passes' distributions over the label set. ``passes`` hold log-likelihoods (B, n_labels); the rest is as there.
    """
    losses = [label_loss(each, labels, options, path_lengths, class_weights) for each in passes]
    first, second = (each.log_softmax(dim=-1) for each in passes)
    # KL(p, q) + KL(q, p) is the sum of (p - q) (log p - log q).
    divergences = ((first.exp() - second.exp()) * (first - second)).sum(dim=-1) / 2
    return (losses[0] + losses[1]) / 2 + options.r_drop * _weighted(divergences, labels, class_weights).mean()


def _weighted(values: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
    return values if class_weights is None else values * class_weights[labels]


def balanced_weights(labels: Sequence[int], n_labels: int) -> Tensor:
    """What a sample of each label counts so that all labels that occur count the same; mean 1 over the samples."""
    counts = torch.bincount(torch.tensor(labels), minlength=n_labels)
    weights = len(labels) / (int((counts > 0).sum()) * counts.clamp(min=1))
    return weights * (counts > 0)
