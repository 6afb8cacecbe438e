# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rmpe_plugin.deploy import HeatmapGraph
from rmpe_plugin.inference import PoseGraph
from tests.test_deploy.conftest import random_crops, small_model, stack

WINDOW = (0.2, 0.05, -0.1, 0.03, 0.15, 0.1)


def test_heatmaps_are_those_of_the_model():
    model = small_model('cpn', WINDOW, output_heatmaps=True)
    crops = random_crops()
    with torch.no_grad():
        samples = model.test_step(
            dict(
                inputs=list(stack(crops)),
                data_samples=[c['data_samples'] for c in crops],
            )
        )
        model.test_cfg['output_heatmaps'] = False
        heatmaps = HeatmapGraph(PoseGraph(model))(stack(crops))
    expected = torch.stack([sample.pred_fields.heatmaps for sample in samples])
    torch.testing.assert_close(heatmaps, expected, rtol=1e-5, atol=1e-5)


def test_heatmaps_need_an_sdtn_on_heatmaps():
    model = small_model('cpn', WINDOW, sdtn='keypoints')
    with pytest.raises(ValueError, match="need model.test_cfg.sdtn='heatmaps'"):
        HeatmapGraph(PoseGraph(model))
