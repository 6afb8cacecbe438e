_base_ = './td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# ResNet-18 and a pyramid of half the width
model = dict(
    backbone=dict(
        depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
    ),
    head=dict(in_channels=[64, 128, 256, 512], feat_channels=128),
)
