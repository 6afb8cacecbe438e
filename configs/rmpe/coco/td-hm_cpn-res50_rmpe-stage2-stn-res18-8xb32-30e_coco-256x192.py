# Stage 2 with the authors' localisation network: a ResNet-18 on the crop at full
# resolution with global pooling.
_base_ = 'td-hm_cpn-res50_rmpe-stage2-8xb32-30e_coco-256x192.py'

model = dict(
    stn=dict(
        backbone=dict(
            type='ResNet',
            depth=18,
            init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
        ),
        in_channels=512,
        downscale=1,
        pool_size=1,
    )
)
