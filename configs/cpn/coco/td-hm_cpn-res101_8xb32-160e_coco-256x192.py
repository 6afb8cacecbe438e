_base_ = './td-hm_cpn-res50_8xb32-160e_coco-256x192.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    )
)
