"""Quantised bases: what a layer restores, its gradients, exact scores, and adapters of the plain base."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qwen2vl_inputs import made_up_prompt, make_adapter

from experts.qwen2vl.base import load_base
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.model.quantised import Format, QuantisedLinear
from experts.qwen2vl.model.scoring import label_log_likelihoods
from mire.errors import SettingsError
from mire.settings import Qwen2VL

pytest.importorskip("bitsandbytes")
TRIE = LabelTrie.build([[10, 11, 5], [10, 5], [12, 13, 14, 5]])
FORMATS: tuple[Format, ...] = ("int8", "nf4")


def layer(weight: torch.Tensor, kind: Format) -> QuantisedLinear:
    plain = torch.nn.Linear(weight.shape[1], weight.shape[0])
    plain.weight.data = weight
    return QuantisedLinear(plain, kind, "cpu")


def test_int8_keeps_each_row_to_a_127th_of_its_largest_number() -> None:
    weight = torch.zeros(2, 64)
    weight[0, :3], weight[1, :2] = torch.tensor([12.7, 0.16, -3.0]), torch.tensor([-1.27, 0.014])
    restored = layer(weight, "int8").weight
    # Steps of 0.1 and of 0.01.
    assert restored[0, :3].tolist() == pytest.approx([12.7, 0.2, -3.0])
    assert restored[1, :2].tolist() == pytest.approx([-1.27, 0.01])


def test_nf4_keeps_the_levels_of_normal_float_exactly() -> None:
    # Two of the sixteen levels between -1 and 1, and the ends (https://arxiv.org/abs/2305.14314, appendix E).
    levels = torch.tensor([-1.0, 0.0, 0.7229568362236023, 1.0]).repeat(64, 16)
    assert torch.allclose(layer(levels, "nf4").weight, levels, atol=1e-6)


@pytest.mark.parametrize("kind", FORMATS)
def test_results_and_gradients_are_those_of_the_restored_weight(kind: Format) -> None:
    torch.manual_seed(0)
    quantised, x = layer(torch.randn(96, 128), kind), torch.randn(5, 128, requires_grad=True)
    assert quantised.codes.numel() == (96 * 128 if kind == "int8" else 96 * 128 // 2)
    found = quantised(x)
    assert torch.allclose(found, x @ quantised.weight.T + quantised.bias, atol=1e-5)
    found[:, 0].sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, quantised.weight[0].expand(5, -1), atol=1e-6)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_adapter_of_the_plain_base_loads_and_rows_change_nothing(
    kind: Format, nano_settings: Qwen2VL, tmp_path: Path
) -> None:
    base = load_base(nano_settings.model_copy(update={"quantize": kind}), device="cpu")
    base.attach("image", make_adapter(tmp_path / "adapter", nano_settings, "image"))
    rng = np.random.default_rng(0)
    prompts = [made_up_prompt(base, rng, 5, [(2, 3)]), made_up_prompt(base, rng, 9, [])]

    def scored(model: Any, *row: int) -> torch.Tensor:
        batch = pack([prompts[index] for index in row], TRIE, image_pad=base.image_pad, pad=base.pad)
        with torch.no_grad():
            return label_log_likelihoods(model, batch, TRIE)

    of_peft = scored(base._adapted, 0, 1)
    model = base.adapted("image")
    assert torch.allclose(scored(model, 0, 1), of_peft, atol=1e-4)
    assert torch.allclose(torch.cat([scored(model, 0), scored(model, 1)]), of_peft, atol=1e-4)


def test_the_parameters_are_counted_and_recognised_as_if_not_quantised(nano_settings: Qwen2VL) -> None:
    plain = load_base(nano_settings, device="cpu")
    base = load_base(nano_settings.model_copy(update={"quantize": "nf4"}), device="cpu")
    assert (base.n_parameters, base.fingerprint) == (plain.n_parameters, plain.fingerprint)
    assert base.apart


def test_merged_adapters_are_refused() -> None:
    with pytest.raises(ValueError, match="quantize nf4 keeps adapters apart; remove adapters: merged"):
        Qwen2VL(quantize="nf4", adapters="merged")


def test_a_missing_package_is_named(nano_settings: Qwen2VL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(SettingsError, match=r"quantize=int8 needs the package bitsandbytes: pip install -e '.\[quant"):
        load_base(nano_settings.model_copy(update={"quantize": "int8"}), device="cpu")
