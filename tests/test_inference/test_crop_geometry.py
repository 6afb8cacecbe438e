# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import KEYPOINT_CODECS

from rmpe_plugin.inference import CropGeometry
from rmpe_plugin.ops import crop_matrices

SIZES = dict(input_size=(96, 128), heatmap_size=(24, 32))
MSRA = dict(type='MSRAHeatmap', sigma=2, **SIZES)
UDP = dict(type='UDPHeatmap', sigma=2, **SIZES)


def pipeline(**affine):
    return [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=(96, 128), **affine),
        dict(type='mmpose.PackPoseInputs', meta_keys=('img_id',)),
    ]


def geometry(steps, codec=MSRA):
    return CropGeometry.of_pipeline(steps, KEYPOINT_CODECS.build(codec))


def test_defaults_of_the_transforms():
    assert geometry(pipeline()) == CropGeometry((96, 128), 1.25, False)


def test_paddings():
    steps = pipeline()
    steps[1] = dict(type='CPNBBoxCenterScale')
    assert geometry(steps).padding == (1.2, 1.3)
    steps[1] = dict(type='GetBBoxCenterScale', padding=1.0)
    assert geometry(steps).padding == 1.0


def test_udp_and_transforms_given_as_classes():
    steps = pipeline(use_udp=True)
    steps[0] = dict(type=LoadImage)
    crop = geometry(steps, UDP)
    assert crop.udp
    boxes = np.array([[0.0, 0, 30, 40]])
    expected = crop_matrices(boxes, (96, 128), 1.25, udp=True)
    np.testing.assert_array_equal(crop.matrices(boxes), expected)


@pytest.mark.parametrize(
    'change',
    [
        lambda p: p.clear(),
        lambda p: p.pop(1),
        lambda p: p.insert(1, dict(type='PhotometricDistortion')),
        lambda p: p[2].update(type='BottomupResize'),
    ],
)
def test_raises_on_other_pipelines(change):
    steps = pipeline()
    change(steps)
    with pytest.raises(ValueError, match='must be LoadImage or .*GetBBox.*got'):
        geometry(steps)


def test_raises_if_the_crop_does_not_fit_the_codec():
    with pytest.raises(ValueError, match='use_udp=True .* does not fit the codec MSRA'):
        geometry(pipeline(use_udp=True))
    with pytest.raises(ValueError, match='use_udp=False .* does not fit the codec UDP'):
        geometry(pipeline(), UDP)
    steps = pipeline()
    steps[2]['input_size'] = (64, 64)
    with pytest.raises(ValueError, match=r'input_size is \(64, 64\), model'):
        geometry(steps)
