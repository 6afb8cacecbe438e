# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rmpe_plugin.models.spatial_transformers import SDTN
from rmpe_plugin.ops import invert_affine, warp


def random_theta(batch=2):
    noise = torch.randn(batch, 2, 3, generator=torch.manual_seed(0))
    return torch.eye(2, 3) + 0.1 * noise


def test_has_no_state():
    assert not list(SDTN().parameters())
    assert not SDTN().state_dict()


def test_warps_nested_stages_of_several_sizes():
    gamma = invert_affine(random_theta())
    fine, coarse = torch.rand(2, 5, 24, 16), torch.rand(2, 5, 12, 8)
    warped = SDTN()([(fine, coarse), coarse], gamma)
    assert isinstance(warped, list)
    assert isinstance(warped[0], tuple)
    torch.testing.assert_close(warped[0][0], warp(fine, gamma, (24, 16)))
    for maps in (warped[0][1], warped[1]):
        torch.testing.assert_close(maps, warp(coarse, gamma, (12, 8)))


def test_undoes_the_warp_of_the_stn():
    theta = random_theta()
    # a constant map is exact where both warps stay inside
    heatmaps = torch.ones(2, 3, 32, 24)
    restored = SDTN()(warp(heatmaps, theta, (32, 24)), invert_affine(theta))
    torch.testing.assert_close(
        restored[..., 8:-8, 6:-6], heatmaps[..., 8:-8, 6:-6], rtol=1e-5, atol=0
    )


@pytest.mark.parametrize(
    ('output', 'got'), [(torch.rand(2, 5, 2), r'\[2, 5, 2\]'), (None, 'NoneType')]
)
def test_raises_on_outputs_other_than_heatmaps(output, got):
    with pytest.raises(TypeError, match=rf'heatmaps \(B, K, H, W\), got .*{got}'):
        SDTN()([output], invert_affine(random_theta()))
