# Stage 2 of RMPE: HRNet-W32 with the SSTN and the parallel SPPE.
_base_ = 'td-hm_hrnet-w32_rmpe-stage1-pgpg-8xb8-30e_mpii-256x256.py'

load_from = (
    'work_dirs/td-hm_hrnet-w32_rmpe-stage1-pgpg-8xb8-30e_mpii-256x256/epoch_30.pth'
)
model = dict(
    type='SSTNPoseEstimator',
    stn=dict(type='SpatialTransformer'),
    parallel=dict(loss_weight=1.0),
)
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='ParallelSPPEHook')]

# pipeline: the ground-truth box is kept
load, proposal, box, flip, color, affine, target, pack = _base_.train_pipeline
train_pipeline = [
    load,
    proposal,
    box,
    flip,
    dict(type='KeepGroundTruthBox'),
    color,
    affine,
    dict(type='GroundTruthWindow'),
    target,
    dict(target, type='GenerateCentredTarget'),
    dict(pack, type='PackSSTNInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# schedule
optim_wrapper = dict(
    optimizer=dict(lr=5e-5), paramwise_cfg=_base_.sstn_optim['paramwise_cfg']
)
