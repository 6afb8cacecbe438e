# Settings that the two stages of RMPE add to a top-down model.
#
# Schedule of the authors (RMSprop, batch size 5, MPII): stage 1 trains the SPPE on
# perturbed boxes for 20 epochs at 2.5e-4 and 10 at 0.5e-4; stage 2 adds the SSTN and
# the parallel SPPE for 20 epochs at 0.5e-4 and 10 at 0.1e-4. Here stage 1 has the
# network's own COCO schedule, and stage 2 the authors' epochs and reduction to a fifth,
# with Adam.

# both stages: perturbation similar to a detector's errors; updates the base's
# RandomBBoxTransform
perturbation = dict(shift_factor=0.12, shift_prob=1.0, scale_factor=(0.75, 1.35))

# stage 2: what each key of a stage 1 config becomes
sstn = dict(
    model=dict(
        type='SSTNPoseEstimator',
        stn=dict(type='SpatialTransformer'),
        parallel=dict(loss_weight=1.0),
    ),
    custom_hooks=[
        dict(type='SyncBuffersHook'),
        dict(type='SSTNPipelineHook'),
        dict(type='ParallelSPPEHook'),
    ],
    # changes of the transforms of train_pipeline, by their type: the ground-truth box is
    # kept, and there is no rotation or half-body crop
    transforms=dict(
        GetBBoxCenterScale=dict(type='SSTNBBoxCenterScale'),
        RandomHalfBody=dict(prob=0.0),
        RandomBBoxTransform=dict(rotate_prob=0.0),
        GenerateTarget=dict(type='GenerateSSTNTarget'),
        PackPoseInputs=dict(type='PackSSTNInputs'),
    ),
    train_cfg=dict(max_epochs=30, val_interval=5),
    optim_wrapper=dict(
        optimizer=dict(lr=1e-4),
        # small steps, because the linear layer sums thousands of features
        paramwise_cfg=dict(custom_keys={'stn.fc': dict(lr_mult=0.1)}),
    ),
    param_scheduler=[
        dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
        dict(
            type='MultiStepLR',
            begin=0,
            end=30,
            milestones=[20],
            gamma=0.2,
            by_epoch=True,
        ),
    ],
)
