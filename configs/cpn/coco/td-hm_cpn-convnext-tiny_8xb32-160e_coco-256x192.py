_base_ = './td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

# ConvNeXt-T of timm; needs pip install 'rmpe_plugin[light]'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='TimmPyramid',
        model_name='convnext_tiny',
        model_args=dict(drop_path_rate=0.2),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://huggingface.co/timm/convnext_tiny.fb_in1k/'
            'resolve/main/pytorch_model.bin',
        ),
    ),
    head=dict(in_channels=[96, 192, 384, 768]),
)

# optimizer: ConvNeXt's
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
