from types import SimpleNamespace

import torch

from experts.qwen2vl.patch_projection import PatchProjection, project_patches_by_matrix


def test_the_matrix_product_is_the_convolution() -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(3, 20, kernel_size=(2, 14, 14), stride=(2, 14, 14), bias=False)
    patches = torch.randn(9, 3, 2, 14, 14)
    expected = convolution(patches)
    holder = SimpleNamespace(patch_embed=SimpleNamespace(proj=convolution))
    project_patches_by_matrix(SimpleNamespace(model=SimpleNamespace(visual=holder)))
    assert isinstance(convolution, PatchProjection)
    got = convolution(patches)
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
