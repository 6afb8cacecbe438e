# Stage 1 of RMPE: HRNet-W32 on perturbed boxes.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    '../../_base_/rmpe.py',
]

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

# visualizer: the one of MMPose 1.3 fails with numpy >= 2.4
visualizer = dict(type='NumpySafePoseVisualizer')

# pipelines: perturbed boxes; a truncated image raises
changed = dict(
    LoadImage=dict(type='LoadIntactImage'), RandomBBoxTransform=_base_.perturbation
)
train_pipeline = [dict(t, **changed.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **changed.get(t['type'], {})) for t in _base_.val_pipeline]

# data loaders: invalid annotations and detections raise
train_dataloader = dict(
    persistent_workers=False,  # EpochSeedHook needs new workers in every epoch
    dataset=dict(type='CheckedCocoDataset', pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(type='CheckedCocoDataset', pipeline=val_pipeline))
test_dataloader = val_dataloader

# hooks and seed: a run that is killed or fails on a full disk resumes with identical
# results
randomness = dict(seed=0)
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook'), epoch_seed=dict(type='EpochSeedHook')
)
