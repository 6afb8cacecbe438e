# Stage 1 of RMPE: HRNet-W32 on perturbed boxes.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    '../../_base_/rmpe.py',
    '../../_base_/safe.py',
]

custom_imports = dict(imports=['rmpe_plugin'], allow_failed_imports=False)

# visualizer: the one of MMPose 1.3 fails with numpy >= 2.4
visualizer = dict(type='NumpySafePoseVisualizer')

changed = dict(LoadImage=_base_.load_image, RandomBBoxTransform=_base_.perturbation)
train_pipeline = [dict(t, **changed.get(t['type'], {})) for t in _base_.train_pipeline]
val_pipeline = [dict(t, **changed.get(t['type'], {})) for t in _base_.val_pipeline]
dataset_type = _base_.checked_dataset.type
train_dataloader = dict(
    **_base_.train_workers, dataset=dict(type=dataset_type, pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(type=dataset_type, pipeline=val_pipeline))
test_dataloader = val_dataloader
default_hooks = _base_.safe_hooks
