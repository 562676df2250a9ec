import math

import pytest
import torch

from experts.qwen2vl.training.loss import balanced_weights, label_loss, r_drop_loss
from mire.settings import Training

# Two samples, three labels of 1, 2 and 4 tokens.
LIKELIHOODS = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -6.0, -4.0]])
LABELS, LENGTHS = torch.tensor([0, 1]), torch.tensor([1, 2, 4])
# log(1 + e^-1 + e^-2), log(1 + 2 e^2)
FIRST, SECOND = 0.407606, 2.758623


def loss(n: int = 2, weights: tuple[float, ...] = (), **entries: object) -> float:
    """The loss of the first ``n`` samples."""
    options = Training.model_validate(entries)
    return float(label_loss(LIKELIHOODS[:n], LABELS[:n], options, LENGTHS, torch.tensor(weights) if weights else None))


def test_both_losses_by_hand() -> None:
    assert loss(loss="sft") == pytest.approx((1 + 6) / (1 + 2))
    assert loss() == pytest.approx((FIRST + SECOND) / 2, abs=1e-5)


def test_label_smoothing_by_hand() -> None:
    # The three labels' losses are FIRST, FIRST + 1 and FIRST + 2: each gets a third of 0.3.
    assert loss(1, label_smoothing=0.3) == pytest.approx(0.7 * FIRST + 0.3 * (FIRST + 1), abs=1e-5)


def test_the_brier_term_by_hand() -> None:
    # Probabilities 0.665241, 0.244728, 0.090031: 0.334759^2 + 0.244728^2 + 0.090031^2 is 0.180061.
    assert loss(1, brier=2) == pytest.approx(FIRST + 2 * 0.180061, abs=1e-5)


def test_class_weights_by_hand() -> None:
    assert loss(weights=(0.5, 2, 9)) == pytest.approx((0.5 * FIRST + 2 * SECOND) / 2, abs=1e-5)
    assert loss(weights=(0.5, 2, 9), loss="sft") == pytest.approx((0.5 * 1 + 2 * 6) / 3)


def test_a_class_weight_counts_in_a_batch_of_one() -> None:
    """torch's weighted mean would divide by the weight again."""
    assert loss(1, weights=(0.5, 2, 9)) == pytest.approx(0.5 * FIRST, abs=1e-5)


def test_r_drop_by_hand() -> None:
    # Probabilities 1/2, 1/2 and 3/4, 1/4: half the sum of both divergences is (1/4 log 3/2 + 1/4 log 2) / 2 = 0.137327.
    passes = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])
    options, labels = Training(r_drop=2), torch.tensor([0])
    by_hand = (math.log(2) + math.log(4 / 3)) / 2 + 2 * 0.137327
    assert float(r_drop_loss(passes, labels, options, LENGTHS)) == pytest.approx(by_hand, abs=1e-5)
    assert float(r_drop_loss(passes[::-1], labels, options, LENGTHS)) == pytest.approx(by_hand, abs=1e-5)
    weights = torch.tensor([0.5, 9])
    assert float(r_drop_loss(passes, labels, options, LENGTHS, weights)) == pytest.approx(by_hand / 2, abs=1e-5)


def test_two_equal_passes_have_the_loss_of_one() -> None:
    both = r_drop_loss((LIKELIHOODS, LIKELIHOODS), LABELS, Training(r_drop=5), LENGTHS)
    assert float(both) == pytest.approx((FIRST + SECOND) / 2, abs=1e-5)


def test_balanced_weights_by_hand() -> None:
    # Four samples of two labels: a label counts two, over three samples and over one.
    assert balanced_weights([0, 0, 2, 0], 3).tolist() == pytest.approx([2 / 3, 0, 2])
