# Stage 2 of RMPE: HRNet-W32 with the SSTN and the parallel SPPE.
_base_ = 'td-hm_hrnet-w32_rmpe-stage1-8xb64-210e_coco-256x192.py'

load_from = (
    'work_dirs/td-hm_hrnet-w32_rmpe-stage1-8xb64-210e_coco-256x192/epoch_210.pth'
)
model = dict(
    type='SSTNPoseEstimator',
    stn=dict(type='SpatialTransformer'),
    parallel=dict(loss_weight=1.0),
)
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='ParallelSPPEHook')]

# pipeline: no rotation or half-body crop; the ground-truth box is kept
load, crop, flip, half_body, jitter, affine, target, pack = _base_.train_pipeline
train_pipeline = [
    load,
    crop,
    flip,
    dict(type='KeepGroundTruthBox'),
    dict(jitter, rotate_prob=0.0),
    affine,
    dict(type='GroundTruthWindow'),
    target,
    dict(target, type='GenerateCentredTarget'),
    dict(pack, type='PackSSTNInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# schedule
train_cfg = _base_.sstn_train
optim_wrapper = _base_.sstn_optim
param_scheduler = _base_.sstn_scheduler
