# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

from rmpe_plugin.deploy.detector_formats import recognise_detector

IMAGES = ('images', [1, 3, 64, 96])
NANODET = [
    (f'Identity_{i}:0', [1, n, channels])
    for i, (n, channels) in enumerate(
        (n, channels) for channels in (80, 44) for n in (96, 24, 6)
    )
]


def session(inputs, outputs):
    """A stand-in for a loaded file."""
    values = [
        [
            SimpleNamespace(name=name, shape=shape, type=(*kind, 'tensor(float)')[0])
            for name, shape, *kind in nodes
        ]
        for nodes in (inputs, outputs)
    ]
    return SimpleNamespace(get_inputs=lambda: values[0], get_outputs=lambda: values[1])


@pytest.mark.parametrize(
    ('images', 'outputs', 'expected'),
    [
        (IMAGES, [('dets', [1, 's3', 5])], 'rtmdet'),
        (IMAGES, [('dets', ['batch', 'n', 5]), ('labels', ['batch', 'n'])], 'yolox'),
        (IMAGES, [('dets', ['b', 'n', 'c']), ('labels', ['b', 'n'])], 'yolox'),
        (IMAGES, [('output', [1, 126, 85])], 'yolox_raw'),
        (IMAGES, [('output', [1, 126, 6])], 'yolox_raw'),
        (IMAGES, NANODET, 'nanodet'),
        (('input', ['batch', 3, 64, 96]), [('output', ['n', 126, 85])], 'yolox_raw'),
    ],
)
def test_recognises(images, outputs, expected):
    assert recognise_detector(session([images], outputs), 'x') == (expected, (96, 64))


def test_a_free_size_is_640():
    images = ('input', ['batch', 3, 'height', 'width'])
    outputs = [('dets', ['batch', 'n', 5]), ('labels', ['batch', 'n'])]
    assert recognise_detector(session([images], outputs), 'x')[1] == (640, 640)


@pytest.mark.parametrize(
    ('inputs', 'outputs'),
    [
        ([('images', [1, 64, 96, 3])], NANODET),
        ([('images', [4, 3, 64, 96])], NANODET),
        ([(*IMAGES, 'tensor(uint8)')], NANODET),
        ([IMAGES, ('size', [2])], NANODET),
        ([IMAGES], NANODET[:5]),
        ([IMAGES], [(name, [1, n, c + 1]) for name, (_, n, c) in NANODET]),
        ([IMAGES], [*NANODET[3:], *NANODET[:3]][:4]),
        ([IMAGES], [('output', [1, 125, 85])]),
        ([IMAGES], [('output', [1, 126, 5])]),
        ([IMAGES], [('output', [126, 85])]),
        ([IMAGES], [('output', [1, 126, 'classes'])]),
        ([IMAGES], [('dets', [1, 9, 6])]),
        ([IMAGES], [('dets', [1, 9, 5]), ('masks', [1, 9])]),
        ([IMAGES], [('simcc_x', [1, 17, 384]), ('simcc_y', [1, 17, 512])]),
        ([IMAGES], [('scalar', [])]),
    ],
)
def test_raises_on_other_formats(inputs, outputs):
    with pytest.raises(
        ValueError, match='model.onnx is not a person detector'
    ) as error:
        recognise_detector(session(inputs, outputs), 'model.onnx')
    for name, shape, *_ in (*inputs, *outputs):
        assert f'{name!r} {(*shape,)}' in str(error.value)
