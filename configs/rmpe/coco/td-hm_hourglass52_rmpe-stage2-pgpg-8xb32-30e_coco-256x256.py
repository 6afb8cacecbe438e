# Stage 2 of RMPE on proposals: Hourglass-52 with the SSTN, from stage 1 on proposals.
_base_ = [
    'td-hm_hourglass52_rmpe-stage2-8xb32-30e_coco-256x256.py',
    '../../_base_/pgpg.py',
]

load_from = (
    'work_dirs/td-hm_hourglass52_rmpe-stage1-pgpg-8xb32-210e_coco-256x256/epoch_210.pth'
)

# pipeline: sampled proposals instead of random shift and scale
load, *steps = [
    dict(t, **_base_.unjittered.get(t['type'], {})) for t in _base_.train_pipeline
]
train_pipeline = [load, _base_.proposal, *steps]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
