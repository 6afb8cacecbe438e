# Stage 2 of RMPE on proposals: CPN-ResNet-50 with the SSTN, from the CPN on proposals.
_base_ = [
    'td-hm_cpn-res50_rmpe-stage2-8xb32-30e_coco-256x192.py',
    '../../_base_/pgpg.py',
]

load_from = 'work_dirs/td-hm_cpn-res50_pgpg-8xb32-160e_coco-256x192/epoch_160.pth'

# pipeline: sampled proposals instead of random shift and scale
load, *steps = [
    dict(t, **_base_.unjittered.get(t['type'], {})) for t in _base_.train_pipeline
]
train_pipeline = [load, _base_.proposal, *steps]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
