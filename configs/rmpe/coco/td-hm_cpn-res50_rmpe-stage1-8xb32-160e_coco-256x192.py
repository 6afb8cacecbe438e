# Stage 1 of RMPE: CPN-ResNet-50 on perturbed boxes.
_base_ = [
    '../../cpn/coco/td-hm_cpn-res50_8xb32-160e_coco-256x192.py',
    '../../_base_/rmpe.py',
]

train_pipeline = [
    dict(t, **_base_.perturbation) if t['type'] == 'RandomBBoxTransform' else t
    for t in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
