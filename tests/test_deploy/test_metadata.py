# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmengine.config import Config

from rmpe_plugin.deploy import PoseMetadata
from rmpe_plugin.inference import CropGeometry
from tests.conftest import ROOT
from tests.factories import quickstart_model
from tests.test_deploy.conftest import small_config, small_metadata, small_model


def change_pipeline(config, change):
    change(config.test_dataloader.dataset.pipeline)
    return config


def test_description_of_the_keypoints_survives():
    model = small_model('cpn')
    metadata = small_metadata(model)
    read = PoseMetadata.from_properties(metadata.to_properties()).dataset_meta
    expected = model.dataset_meta
    for name in ('dataset_name', 'num_keypoints', 'keypoint_id2name', 'skeleton_links'):
        assert read[name] == expected[name]
    for name in ('flip_indices', 'keypoint_colors', 'skeleton_link_colors', 'sigmas'):
        np.testing.assert_array_equal(read[name], expected[name])


def test_geometry_is_that_of_the_config():
    config = Config.fromfile(
        ROOT / 'configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py'
    )
    model = quickstart_model()
    model.dataset_meta = small_model('cpn').dataset_meta
    metadata = PoseMetadata.of_model(model, config, 'bgr')
    # As after a round trip through JSON.
    metadata = PoseMetadata.from_properties(metadata.to_properties())
    assert metadata.geometry == CropGeometry((96, 128), [1.2, 1.3], False)
    assert metadata.config == 'td-hm_cpn-res18_synthetic-128x96.py'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda p: p.pop(1), 'must be LoadImage or .* got LoadImage, '),
        (lambda p: p.pop(2), 'must be LoadImage or .* got LoadImage, '),
        (lambda p: p[2].update(use_udp=True), 'use_udp=True .* does not fit'),
        (lambda p: p[2].update(input_size=(96, 96)), r'input_size is \(96, 96\)'),
    ],
)
def test_raises_on_other_crops(change, message):
    config = change_pipeline(small_config(), change)
    with pytest.raises(ValueError, match=message):
        PoseMetadata.of_model(small_model('cpn'), config, 'bgr')
