# RMPE: what its two stages add to a top-down model. Entry configs put the pieces in.
#
# The authors' schedule (RMSprop, batch 5, MPII): stage 1 is the SPPE on perturbed boxes,
# 20 epochs at 2.5e-4 and 10 at 0.5e-4; stage 2 adds the SSTN and the parallel SPPE, 20
# epochs at 0.5e-4 and 10 at 0.1e-4. Here stage 1 is the network's own COCO schedule, and
# stage 2 has the authors' epochs and their step down to a fifth, with Adam.

# both stages: boxes perturbed as a detector would, in place of the base's own shift and
# scale; an update of its RandomBBoxTransform
perturbation = dict(shift_factor=0.12, shift_prob=1.0, scale_factor=(0.75, 1.35))

# stage 2: model
sstn = dict(
    type='SSTNPoseEstimator',
    stn=dict(type='SpatialTransformer'),
    parallel=dict(loss_weight=1.0),
)
sstn_hooks = [dict(type='SyncBuffersHook'), dict(type='ParallelSPPEHook')]

# stage 2: schedule
sstn_train = dict(max_epochs=30, val_interval=5)
sstn_optim = dict(
    optimizer=dict(lr=1e-4),
    # The linear layer adds up thousands of features: small steps.
    paramwise_cfg=dict(custom_keys={'stn.fc': dict(lr_mult=0.1)}),
)
sstn_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='MultiStepLR', begin=0, end=30, milestones=[20], gamma=0.2, by_epoch=True
    ),
]
